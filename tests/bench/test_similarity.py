from __future__ import annotations

import numpy as np
import pytest
from conftest import picture

from idfzip.bench import similarity


def direct(first, second):
    """MS-SSIM of one plane, written down as in the paper, window by window."""
    at = np.arange(11) - 5
    line = np.exp(-0.5 * (at / 1.5) ** 2)
    window = np.outer(line, line) / line.sum() ** 2
    a, b, result = first.astype(float), second.astype(float), 1.0
    for scale, weight in enumerate(similarity.WEIGHTS):
        x, y = (np.lib.stride_tricks.sliding_window_view(v, (11, 11)) for v in (a, b))
        mean = [np.einsum("ijkl,kl->ij", v, window) for v in (x, y, x * x, y * y, x * y)]
        mx, my, xx, yy, xy = mean
        contrast = (2 * (xy - mx * my) + 58.5225) / (xx - mx * mx + yy - my * my + 58.5225)
        light = (2 * mx * my + 6.5025) / (mx * mx + my * my + 6.5025)
        part = light * contrast if scale == 4 else contrast
        result *= part.mean() ** weight
        height, width = (n // 2 for n in a.shape)
        a, b = (
            v[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean((1, 3)) for v in (a, b)
        )
    return result


def test_it_is_what_the_paper_says():
    first = picture("smooth", 180, 191, 1)
    noise = np.random.default_rng(0).normal(0, 12, first.shape)
    second = np.clip(first + noise, 0, 255).astype(np.uint8)
    expected = direct(first[..., 0], second[..., 0])
    assert similarity.ms_ssim(first, second) == pytest.approx(expected, abs=1e-12)
    assert 0.3 < expected < 0.99


def test_identities():
    first, second = picture("smooth", 176, 177, 3), picture("noise", 176, 177, 3)
    assert similarity.ms_ssim(first, first) == 1
    assert similarity.ms_ssim(first, second) == pytest.approx(similarity.ms_ssim(second, first))
    planes = [similarity.ms_ssim(first[..., c : c + 1], second[..., c : c + 1]) for c in range(3)]
    assert similarity.ms_ssim(first, second) == pytest.approx(np.mean(planes))
    brighter = (first.astype(int) // 2 + 60).astype(np.uint8)
    worse = (first.astype(int) // 4 + 90).astype(np.uint8)
    assert similarity.ms_ssim(first, worse) < similarity.ms_ssim(first, brighter) < 1
    assert similarity.ms_ssim(first, 255 - first) < 0.2


def test_small_pictures_are_refused():
    small = picture("smooth", 175, 200, 1)
    with pytest.raises(ValueError, match="176 pixels"):
        similarity.ms_ssim(small, small)


def test_decibels():
    assert similarity.decibels(0.99) == pytest.approx(20)
    assert similarity.decibels(1.0) == 100
