"""Histograms of oriented gradients against a transcription of the paper, pixel by pixel."""

from math import atan2, floor, pi

import numpy as np
import torch
from numpy.testing import assert_allclose

from tutti.data import Images
from tutti.evaluation._features_images import features, hog


def transcribed(image: np.ndarray, cell: int, block: int, bins: int) -> np.ndarray:
    """Dalal & Triggs 2005, section 6, one pixel after another; without the Gaussian window over a block."""
    channels, height, width = image.shape
    rows, columns = height // cell, width // cell
    cells = np.zeros((rows, columns, bins))
    for i in range(height):
        for j in range(width):
            best, angle = 0.0, 0.0
            for c in range(channels):
                down = image[c, i + 1, j] - image[c, i - 1, j] if 0 < i < height - 1 else 0.0
                right = image[c, i, j + 1] - image[c, i, j - 1] if 0 < j < width - 1 else 0.0
                length = (down**2 + right**2) ** 0.5
                if length > best:
                    best, angle = length, atan2(down, right) % pi
            place = angle / pi * bins - 0.5
            for bin_, bin_share in (
                (floor(place), 1 - place + floor(place)),
                (floor(place) + 1, place - floor(place)),
            ):
                y, x = (i + 0.5) / cell - 0.5, (j + 0.5) / cell - 0.5
                for r, r_share in ((floor(y), 1 - y + floor(y)), (floor(y) + 1, y - floor(y))):
                    for c, c_share in ((floor(x), 1 - x + floor(x)), (floor(x) + 1, x - floor(x))):
                        if 0 <= r < rows and 0 <= c < columns:
                            cells[r, c, bin_ % bins] += best * bin_share * r_share * c_share
    found = []
    for r in range(rows - block + 1):
        for c in range(columns - block + 1):
            v = cells[r : r + block, c : c + block].ravel()
            v = (v / np.sqrt(v @ v + 1e-10)).clip(max=0.2)
            found.append(v / np.sqrt(v @ v + 1e-10))
    return np.concatenate(found)


def test_the_histograms_are_the_papers() -> None:
    images = np.random.default_rng(0).random((3, 2, 12, 16))
    ours = hog(torch.from_numpy(images), cell=4, block=2, bins=9)
    assert ours.shape == (3, 2 * 3 * 4 * 9)
    for image, found in zip(images, ours.numpy(), strict=True):
        assert_allclose(found, transcribed(image, 4, 2, 9), rtol=1e-5, atol=1e-6)


def test_a_ramp_votes_for_its_own_direction_alone() -> None:
    ramp = torch.arange(16.0).expand(
        1, 1, 16, 16
    )  # brighter to the right: an angle of 0, between the first and last bin
    votes = hog(ramp).view(-1, 9).sum(0)
    assert_allclose(votes[[0, 8]] / votes.sum(), 0.5, rtol=1e-5)


def test_features_do_not_depend_on_the_other_images() -> None:
    pixels = torch.randint(0, 256, (5, 3, 70, 40), dtype=torch.uint8)
    together = features(Images(pixels))
    alone = features(Images(pixels[3:4]))
    assert_allclose(together[3:4], alone, rtol=1e-5, atol=1e-6)
