"""The bins of the bits-back codec: what pixels and latents are on a stack of bits.

A latent is one of 1023 bins of equal width, each 1/64 from the next: just the activations that a
network takes, so that what is coded is what networks see, by the same tables as a pixel. (The paper
takes bins of equal mass under the top prior; where bins are narrower than posteriors, both code
alike.)
"""

from __future__ import annotations

from idfzip.codecs.bits_back import Kind
from idfzip.flows.alphabet import BYTES
from idfzip.integer.conv import LIMIT

LOWEST, LATENTS = -LIMIT, 2 * LIMIT + 1
"""The lowest latent, and the number of all."""

PIXEL_SCALE, LATENT_SCALE = 28, 36
"""Units of sums, indices of `mixture.Tables.span`: 16 steps of pixels; 64 bins, as activations."""

PIXELS = Kind(BYTES.values, 0, PIXEL_SCALE, 64 * (BYTES.values // 2), relative=True)
"""Pixels of a channel."""

BINS = Kind(LATENTS, LOWEST, LATENT_SCALE, 0)
"""Latents."""

DRAWN = BINS._replace(masked=True)
"""Latents that are drawn under their posterior, and what gives that back."""
