"""Segmentation: classes from mask values, encoding, losses against torch, what is not labelled does not count."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from tutti.core import InputError
from tutti.tasks import TASKS, UNLABELLED, Segmentation, infer, task_from_json


def masks(*values: int, rows: int = 2, size: int = 8, seed: int = 0) -> np.ndarray:
    share = np.linspace(3, 1, len(values))
    return np.random.default_rng(seed).choice(values, (rows, size, size), p=share / share.sum()).astype(np.int32)


# catalogue: T6
@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ((0, 255), ("0", "255")),
        ((255, 0), ("255", "0")),  # the rarer value is what is sought for
        ((0, 1, 255), ("0", "1")),  # 255 beside class numbers: not labelled
        ((7, 3, 12, 255), ("3", "7", "12")),
        ((0, 100, 255), ("0", "100", "255")),  # grey levels, all of them classes
        ((0, 1 << 24, (1 << 24) + 0xFF8000), ("0", "#000000", "#ff8000")),
    ],
)
def test_classes_follow_from_the_values_of_the_masks(values: tuple[int, ...], classes: tuple[str, ...]) -> None:
    raw = masks(*values)
    task = infer(raw, ["mask"], "segmentation")
    assert isinstance(task, Segmentation)
    assert task.classes == classes
    assert task.outputs == (1 if len(classes) == 2 else len(classes))
    assert task_from_json(task.to_json()) == task
    encoded = task.encode(raw)
    assert encoded.dtype == np.uint8
    words = np.array([*classes, *["255"] * (256 - len(classes))])
    known = np.where(raw >= 1 << 24, raw - (1 << 24), raw)
    back = np.vectorize(lambda word: int(word.removeprefix("#"), 16 if "#" in word else 10))(words[encoded])
    np.testing.assert_array_equal(back, known)
    assert (encoded == UNLABELLED).any() == (255 in values and "255" not in classes)
    answers = np.eye(len(classes))[np.where(encoded == UNLABELLED, 0, encoded)].transpose(0, 3, 1, 2)
    labelled = encoded != UNLABELLED
    np.testing.assert_array_equal(task.labels(answers)[labelled], known[labelled])
    assert sum(task.counts(encoded).values()) == labelled.sum()
    np.testing.assert_allclose(task.trivial(encoded), [n / labelled.sum() for n in task.counts(encoded).values()])


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("dice", [0.0, 0.7])
@pytest.mark.parametrize("smoothing", [None, 0.1])
def test_the_loss_is_torchs_over_labelled_pixels(classes: int, dice: float, smoothing: float | None) -> None:
    names = tuple(str(k) for k in range(classes))
    task = Segmentation(names=("mask",), classes=names, dice=dice)
    target = torch.randint(0, classes, (5, 6, 7))
    target[0] = UNLABELLED
    target[1:, 2:4] = UNLABELLED
    output = torch.randn(5, task.outputs, 6, 7, dtype=torch.float64)
    logits = torch.cat([torch.zeros_like(output), output], 1) if classes == 2 else output
    own = functional.cross_entropy(
        logits, target, ignore_index=UNLABELLED, reduction="none", label_smoothing=smoothing or 0.0
    )
    truth = own.sum((1, 2)) / (target != UNLABELLED).sum((1, 2)).clamp(min=1)
    if dice:
        known = target != UNLABELLED
        p, t = logits.softmax(1), functional.one_hot(torch.where(known, target, 0), classes).movedim(-1, 1)
        both, either = (((x) * known[:, None]).sum((2, 3)) for x in (p * t, p + t))
        costs = 1 - (2 * both + 1) / (either + 1)
        truth = truth + dice * (costs[:, 1] if classes == 2 else costs.mean(1))
    eps = None if smoothing is None else torch.tensor(smoothing, dtype=torch.float64)
    torch.testing.assert_close(task.loss(output, target.to(torch.uint8), eps), truth)
    assert task.loss(output, target)[0] == (dice and truth[0])  # nothing is labelled: nothing is learnt
    stack = torch.stack([output, output / 2])
    many = None if smoothing is None else torch.tensor([smoothing, 0.3], dtype=torch.float64)
    together = task.loss(stack, target.to(torch.uint8).expand(2, 5, 6, 7), many)
    torch.testing.assert_close(together[0], truth)
    torch.testing.assert_close(task.predict(output), logits.softmax(1))


def test_the_gradient_of_an_unlabelled_pixel_is_zero() -> None:
    target = torch.randint(0, 3, (1, 4, 4), dtype=torch.uint8)
    target[0, 0] = UNLABELLED
    for task in (Segmentation(names=("m",), classes=("0", "1", "2"), dice=0.5),):
        output = torch.randn(1, 3, 4, 4, requires_grad=True)
        task.loss(output, target).sum().backward()
        assert output.grad is not None
        assert (output.grad[0, :, 0] == 0).all()
        assert (output.grad[0, :, 1:] != 0).all()


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (np.zeros((2, 4, 4), np.uint8), "same value"),
        (np.arange(2 * 16 * 16).reshape(2, 16, 16) % 256, "255 different values"),
        (np.zeros((4, 4)), "shape"),
        (np.full((2, 4, 4), 0.5), "whole numbers"),
        (np.full((2, 4, 4), -1), "0 to 255"),
    ],
)
def test_masks_that_say_nothing_are_refused(raw: np.ndarray, what: str) -> None:
    with pytest.raises(InputError, match=what):
        infer(raw, ["mask"], "segmentation")


def test_a_value_that_was_never_seen_is_named() -> None:
    task = Segmentation(names=("mask",), classes=("0", "1"))
    with pytest.raises(InputError, match="holds 9, which is no class"):
        task.encode(np.array([[[0, 9]]]))
    assert TASKS["segmentation"] is Segmentation
