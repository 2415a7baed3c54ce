"""Overlaps of segmentations against scikit-learn on the flattened pixels, and intervals over images."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, jaccard_score
from sklearn.metrics import log_loss as sk_log_loss

from tutti.core import InputError
from tutti.metrics import METRICS, calibration_curve, confusion, metrics_for, paired_difference, score

NAMES = ("iou", "dice", "pixel_accuracy", "pixel_error", "log_loss")


def example(classes: int, rows: int = 5, size: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    target = rng.integers(0, classes, (rows, size, size)).astype(np.uint8)
    logits = rng.normal(size=(rows, classes, size, size)) + 1.2 * np.eye(classes)[target].transpose(0, 3, 1, 2)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    target[:, :2] = 255
    return target, p


# catalogue: T6
@pytest.mark.parametrize("classes", [2, 4])
def test_values_are_scikit_learns_over_all_labelled_pixels(classes: int) -> None:
    target, p = example(classes)
    known = target != 255
    true, said = target[known], p.argmax(1)[known]
    average = "binary" if classes == 2 else "macro"
    assert METRICS["iou"].function(target, p) == pytest.approx(jaccard_score(true, said, average=average))
    assert METRICS["dice"].function(target, p) == pytest.approx(f1_score(true, said, average=average))
    assert METRICS["pixel_accuracy"].function(target, p) == pytest.approx(accuracy_score(true, said))
    assert METRICS["pixel_error"].function(target, p) == pytest.approx(1 - accuracy_score(true, said))
    flat = p.transpose(0, 2, 3, 1)[known]
    assert METRICS["log_loss"].function(target, p) == pytest.approx(sk_log_loss(true, flat, labels=range(classes)))
    np.testing.assert_array_equal(confusion(target, p), confusion_matrix(true, said))
    each = METRICS["log_loss"].per_row(target, p)
    assert each is not None
    assert each.mean() == pytest.approx(METRICS["log_loss"].function(target, p))
    assert METRICS["iou"].per_row(target, p) is None
    assert metrics_for("segmentation") == NAMES


def test_weights_count_an_image_as_often() -> None:
    target, p = example(3)
    twice = [0, 1, 1, 2, 3, 3, 3, 4]
    for name in NAMES:
        weighted = METRICS[name].function(target, p, np.bincount(twice).astype(float))
        assert weighted == pytest.approx(METRICS[name].function(target[twice], p[twice]))


@pytest.mark.parametrize("rows", [6, 60])
def test_intervals_hold_over_new_images(rows: int) -> None:
    """95 % of intervals hold the value of all images; images differ much more than their pixels would."""

    def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        share = rng.uniform(0.2, 0.5, (n, 1, 1))
        target = (rng.random((n, 12, 12)) < share).astype(np.uint8)
        right = rng.random((n, 12, 12)) < rng.beta(8, 2, (n, 1, 1))
        said = np.where(right, target, 1 - target)
        return target, np.stack([1 - said, said], 1).astype(np.float64)

    truth = METRICS["iou"].function(*draw(np.random.default_rng(1), 20_000))
    held = 0
    for trial in range(100):
        found = score("iou", *draw(np.random.default_rng([2, trial]), rows))
        assert found.unit == "row"
        assert found.low <= found.value <= found.high
        held += found.low <= truth <= found.high
    assert held >= 88


def test_two_models_are_compared_image_by_image() -> None:
    target, p = example(2, rows=40)
    worse = 0.7 * p + 0.3 * p[::-1]
    found = paired_difference("iou", target, p, worse)
    assert found.low <= found.value <= found.high
    assert found.outcome == "better"
    assert paired_difference("pixel_error", target, p, worse).outcome == "better"
    same = paired_difference("iou", target, p, p)
    assert same.value == same.low == same.high == 0


def test_calibration_is_that_of_the_pixels() -> None:
    target, p = example(2, rows=50)
    known = target != 255
    curve = calibration_curve(target, p)
    flat = calibration_curve(target[known].astype(np.int64), p.transpose(0, 2, 3, 1)[known])
    assert curve == flat
    assert sum(b.count for b in curve.bins) == known.sum()


def test_shapes_that_do_not_fit_are_told() -> None:
    target, p = example(2)
    with pytest.raises(InputError, match="expected"):
        METRICS["iou"].function(target, p[:, :, :5])
    with pytest.raises(InputError, match="not for a class of every pixel"):
        METRICS["accuracy"].function(target, p)
    with pytest.raises(InputError, match="expected"):
        METRICS["dice"].function(target[:, 0, 0].astype(np.int64), p[:, :, 0, 0])
