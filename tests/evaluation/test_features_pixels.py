"""Pixel features against scipy and by their symmetry; the forest and the linear model learn from training images."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude

from tutti.data import Images, declare_splits
from tutti.evaluation import fit_baselines
from tutti.evaluation._features_pixels import inputs, pixel_features
from tutti.metrics import METRICS

RNG = np.random.default_rng(0)


# catalogue: T6
def test_features_are_what_they_are_said_to_be() -> None:
    image = RNG.integers(0, 256, (2, 20, 30)).astype(np.uint8)
    found = pixel_features(image).reshape(20, 30, 2, 17)
    for channel in range(2):
        plain = image[channel].astype(np.float32)
        np.testing.assert_array_equal(found[..., channel, 0], plain)
        np.testing.assert_allclose(found[..., channel, 5], gaussian_filter(plain, 2.0, mode="reflect"), rtol=1e-5)
        length = 2.0 * gaussian_gradient_magnitude(plain, 2.0, mode="reflect")
        np.testing.assert_allclose(found[..., channel, 6], length, rtol=1e-3, atol=1e-3)
    assert (found[..., 3::4][..., :4] >= found[..., 4::4][..., :4]).all()  # the larger eigenvalue first


def test_features_turn_with_the_image() -> None:
    image = RNG.integers(0, 256, (1, 24, 16)).astype(np.uint8)
    turned = pixel_features(np.ascontiguousarray(np.rot90(image, axes=(1, 2)))).reshape(16, 24, 17)
    plain = np.rot90(pixel_features(image).reshape(24, 16, 17))
    np.testing.assert_allclose(turned, plain, rtol=1e-3, atol=1e-2)


def test_a_dark_line_has_one_large_eigenvalue() -> None:
    image = np.full((1, 41, 41), 200, np.uint8)
    image[:, :, 20] = 0
    found = pixel_features(image).reshape(41, 41, 17)[20, 20]
    assert found[3] > 20
    assert abs(found[4]) < 1


@pytest.mark.parametrize("classes", [2, 3])
def test_both_learn_what_a_pixels_surroundings_tell(classes: int) -> None:
    rows, side = 16, 24
    blocks = RNG.integers(0, classes, (rows, side // 8, side // 8)).repeat(8, 1).repeat(8, 2)
    pixels = (60 + 50 * blocks + RNG.normal(0, 40, (rows, side, side))).clip(0, 255).astype(np.uint8)
    target = blocks.astype(np.uint8)
    target[:, 0] = 255
    sample = Images(torch.from_numpy(pixels[:, None]))
    splits, _ = declare_splits(rows, folds=2)
    found = fit_baselines(
        np.zeros((rows, 0), np.float32),
        np.zeros((rows, 0), np.int32),
        target,
        kind="segmentation",
        outputs=classes,
        splits=splits,
        metric="pixel_accuracy",
        seconds=2,
        out_of_fold=True,
        learners=inputs(sample, splits).learners,
        threads=1,
    )
    assert [b.name for b in found] == ["trivial", "linear on pixels", "forest on pixels"]
    accuracy = METRICS["pixel_accuracy"].function
    one_pixel = np.abs(pixels[splits.test][:, None] - (60.0 + 50 * np.arange(classes))[None, :, None, None])
    alone = accuracy(target[splits.test], np.exp(-one_pixel / 10) + 1e-9)
    for baseline in found:
        assert baseline.test is not None
        assert baseline.out_of_fold is not None
        assert baseline.test.shape == (len(splits.test), classes, side, side)
        assert baseline.out_of_fold.shape == (len(splits.validated), classes, side, side)
        np.testing.assert_allclose(baseline.test.sum(1), 1, rtol=1e-5)
        reached = accuracy(target[splits.test], np.ascontiguousarray(baseline.test))
        assert (reached > alone + 0.1) == (baseline.name != "trivial")
        assert baseline.name == "trivial" or baseline.cv_score == pytest.approx(reached, abs=0.15)
