"""The one tree of errors. Each class owns the exit code that the command line returns for it."""

from __future__ import annotations


class IdfzipError(Exception):
    """Base of every error that a user can cause or meet; its text is one line for that user."""

    exit_code = 1


class UnsupportedImage(IdfzipError):
    """The input is no image, or one of a kind that cannot be carried."""


class FormatError(IdfzipError):
    """An `.idfz` file is damaged, cut, hostile or of a version this release does not know."""


class CutError(FormatError):
    """An `.idfz` file ends before its header does."""


class TileError(FormatError):
    """The pixels of one tile do not match their checksum."""


class RegionError(IdfzipError):
    """A region that is asked for is not inside the image."""


class ModelError(IdfzipError):
    """A model file is damaged, hostile or does not fit its use."""


class ModelNotFound(ModelError):
    """The model that a file names is not installed."""


class OutputExists(IdfzipError):
    """The output is there already and may not be overwritten."""


class TrainingError(IdfzipError):
    """Training cannot start or go on."""


class BenchError(IdfzipError):
    """A comparison cannot be made."""


class DeviceError(IdfzipError):
    """The device that is asked for is not there, or fails."""
