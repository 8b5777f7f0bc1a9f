"""What a training leaves behind beside the model: a log, a curve, TensorBoard's events.

All in one folder: `log.jsonl` with a line for each measurement, `curve.png` where matplotlib is
installed, and events where TensorBoard is.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import Any

from idfzip.errors import TrainingError
from idfzip.training.loop import Report

LOG = "log.jsonl"
CURVE = "curve.png"
CHECKPOINT = "checkpoint.safetensors"


class Journal:
    """The log of one training, in a folder; an older one is continued or begun anew."""

    def __init__(self, folder: Path, resume: bool, unit: str = "bits per subpixel") -> None:
        self.folder, self._unit = folder, unit
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not resume:
                (folder / LOG).write_text("")
                (folder / CHECKPOINT).unlink(missing_ok=True)
        except OSError as error:
            raise TrainingError(f"{folder}: cannot be written ({error.strerror})") from None
        self._events: Any = None
        if importlib.util.find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._events = SummaryWriter(str(folder))

    def note(self, report: Report) -> None:
        """Append a measurement."""
        line = json.dumps(dataclasses.asdict(report))
        try:
            with (self.folder / LOG).open("a") as file:
                file.write(line + "\n")
        except OSError as error:
            raise TrainingError(
                f"{self.folder / LOG}: cannot be written ({error.strerror})"
            ) from None
        if self._events is not None:
            for name in ("training", "held_out", "speed"):
                self._events.add_scalar(name, getattr(report, name), report.step)
            for name, value in report.facts.items():
                self._events.add_scalar(name, value, report.step)
            self._events.flush()

    def draw(self) -> bool:
        """Draw the curve of all measurements; return whether matplotlib is there to do it."""
        if importlib.util.find_spec("matplotlib") is None:
            return False
        from matplotlib.figure import Figure

        lines = (self.folder / LOG).read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        figure = Figure(figsize=(7, 4), layout="constrained")
        axes = figure.add_subplot()
        minutes = [row["seconds"] / 60 for row in rows]
        for name, label in (("training", "training"), ("held_out", "held out")):
            axes.plot(minutes, [row[name] for row in rows], label=label)
        axes.set(xlabel="minutes", ylabel=self._unit)
        axes.grid(alpha=0.3)
        axes.legend()
        figure.savefig(self.folder / CURVE, dpi=120)
        return True
