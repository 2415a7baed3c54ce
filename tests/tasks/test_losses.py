"""Losses equal torch's and scikit-learn's, stacked or alone, and their gradients equal finite differences."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import hinge_loss
from torch import Tensor
from torch.testing import assert_close

from tutti.tasks import Binary, Multiclass, MultiLabel, Regression, Task

LABELS = ("a", "b", "c", "d")
REGRESSION = Regression(names=("u", "v"))
BINARY = Binary(names=("y",), classes=("no", "yes"))
MULTICLASS = Multiclass(names=("y",), classes=LABELS)
MANY = Multiclass(names=("y",), classes=tuple(f"c{i:02}" for i in range(40)))
MULTILABEL = MultiLabel(names=("p", "q", "r"))
WEIGHTED = [
    replace(BINARY, class_weights=(0.5, 3.0)),
    replace(MULTICLASS, class_weights=(0.5, 1.0, 2.0, 4.0)),
    replace(MULTILABEL, absent_weights=(0.5, 1.0, 2.0), present_weights=(3.0, 1.0, 0.25)),
]
CLASSES: list[Any] = [BINARY, MULTICLASS, MANY, MULTILABEL, *WEIGHTED]
ALL: list[Any] = [
    *[replace(REGRESSION, loss_name=loss) for loss in ("squared", "absolute", "huber")],
    *[replace(task, loss_name=loss) for task in CLASSES for loss in ("cross_entropy", "hinge", "perceptron")],
]


def named(task: Any) -> str:
    weighted = getattr(task, "class_weights", None) or getattr(task, "present_weights", None)
    return f"{task.kind}{task.outputs}-{task.loss_name}" + ("-weighted" if weighted else "")


def draw(task: Task, *shape: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Outputs [*shape, out] and targets of this shape."""
    g = torch.Generator().manual_seed(seed)
    output = 2 * torch.randn(*shape, task.outputs, dtype=torch.float64, generator=g)
    if task.kind == "regression":
        return output, torch.randn(*shape, task.outputs, dtype=torch.float64, generator=g)
    if task.kind == "multilabel":
        return output, torch.randint(0, 2, (*shape, task.outputs), generator=g).double()
    return output, torch.randint(0, len(task.classes), shape, generator=g)


def reference(task: Any, output: Tensor, target: Tensor, smoothing: float) -> Tensor:
    """torch's cross-entropy of one member."""
    weights = getattr(task, "class_weights", None)
    weights = None if weights is None else torch.tensor(weights, dtype=output.dtype)
    if task.kind == "multilabel":
        columns = []
        for k in range(task.outputs):
            pair = (task.absent_weights[k], task.present_weights[k]) if task.present_weights else None
            one = Binary(names=("y",), classes=("0", "1"), class_weights=pair)
            columns.append(reference(one, output[..., k : k + 1], target[..., k].long(), smoothing))
        return torch.stack(columns).mean(0)
    if task.kind == "binary":
        output = torch.cat([torch.zeros_like(output), output], dim=-1)
    return F.cross_entropy(output, target, weights, reduction="none", label_smoothing=smoothing)


# catalogue: T2, T3, T4, L12 (label smoothing)
@pytest.mark.parametrize("smoothings", [None, (0.0, 0.1, 0.7)], ids=["plain", "smoothed"])
@pytest.mark.parametrize("task", CLASSES, ids=named)
def test_cross_entropy_equals_torchs_member_by_member(task: Task, smoothings: tuple[float, ...] | None) -> None:
    output, target = draw(task, 3, 11)
    given = None if smoothings is None else torch.tensor(smoothings, dtype=torch.float64)
    stacked = task.loss(output, target, given)
    assert stacked.shape == (3, 11)
    for member, smoothing in enumerate(smoothings or (0.0,) * 3):
        expected = reference(task, output[member], target[member], smoothing)
        assert_close(stacked[member], expected, rtol=1e-12, atol=1e-12)
        one = None if given is None else given[member]
        assert_close(task.loss(output[member], target[member], one), expected, rtol=1e-12, atol=1e-12)


# catalogue: T1
@pytest.mark.parametrize(
    ("loss", "expected"),
    [("squared", F.mse_loss), ("absolute", F.l1_loss), ("huber", F.huber_loss)],
)
def test_regression_losses_equal_torchs(loss: str, expected: Any) -> None:
    output, target = draw(REGRESSION, 3, 11)
    ours = replace(REGRESSION, loss_name=loss).loss(output, target)
    assert_close(ours, expected(output, target, reduction="none").mean(-1))


# catalogue: T12
@pytest.mark.parametrize(("loss", "margin"), [("hinge", 1.0), ("perceptron", 0.0)])
def test_margin_losses_equal_their_formula(loss: str, margin: float) -> None:
    output, target = draw(BINARY, 40)
    sign = 2 * target - 1
    ours = replace(BINARY, loss_name=loss).loss(output, target)
    assert_close(ours, torch.relu(margin - sign * output[:, 0]))

    output, target = draw(MULTICLASS, 40)
    ours = replace(MULTICLASS, loss_name=loss).loss(output, target)
    for scores, y, value in zip(output.tolist(), target.tolist(), ours.tolist(), strict=True):
        rival = max(f for c, f in enumerate(scores) if c != y)
        assert value == pytest.approx(max(0.0, margin + rival - scores[y]))


def test_hinge_equals_scikit_learns() -> None:
    for task in (BINARY, MULTICLASS):
        output, target = draw(task, 200)
        ours = replace(task, loss_name="hinge").loss(output, target).mean()
        decision = output[:, 0] if task.kind == "binary" else output
        assert ours.item() == pytest.approx(hinge_loss(target.numpy(), decision.numpy()))


# Smoothing is the expectation over labels replaced at random with probability ε.
@pytest.mark.parametrize("loss", ["cross_entropy", "hinge", "perceptron"])
@pytest.mark.parametrize("task", [BINARY, MULTICLASS, WEIGHTED[0], WEIGHTED[1]], ids=named)
def test_label_smoothing_is_the_expected_loss_under_random_labels(task: Any, loss: str) -> None:
    task = replace(task, loss_name=loss)
    output, target = draw(task, 2, 9)
    smoothing = torch.tensor([0.2, 0.6], dtype=torch.float64)
    every = torch.stack([task.loss(output, torch.full_like(target, c)) for c in range(len(task.classes))])
    expected = (1 - smoothing[:, None]) * task.loss(output, target) + smoothing[:, None] * every.mean(0)
    assert_close(task.loss(output, target, smoothing), expected, rtol=1e-12, atol=1e-12)


# catalogue: L12 (label smoothing): its effect in closed form
def test_smoothing_bounds_the_confidence() -> None:
    epsilon, classes = 0.3, 4
    output = torch.zeros(1, 1, classes, dtype=torch.float64, requires_grad=True)
    target = torch.tensor([[2]])
    optimizer = torch.optim.LBFGS([output], max_iter=100, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = MULTICLASS.loss(output, target, torch.tensor([epsilon], dtype=torch.float64)).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    expected = torch.full((classes,), epsilon / classes, dtype=torch.float64)
    expected[2] += 1 - epsilon
    assert_close(MULTICLASS.predict(output.detach())[0, 0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("smooth", [False, True], ids=["plain", "smoothed"])
@pytest.mark.parametrize("task", ALL, ids=named)
def test_gradients_equal_finite_differences(task: Task, smooth: bool) -> None:
    output, target = draw(task, 2, 3)
    smoothing = torch.tensor([0.1, 0.4], dtype=torch.float64) if smooth else None
    assert torch.autograd.gradcheck(lambda x: task.loss(x, target, smoothing), output.requires_grad_())


@pytest.mark.parametrize("task", [REGRESSION, *CLASSES], ids=named)
def test_losses_can_be_differentiated_twice(task: Task) -> None:
    output, target = draw(task, 2, 2)
    assert torch.autograd.gradgradcheck(lambda x: task.loss(x, target), output.requires_grad_())


@pytest.mark.parametrize("task", ALL, ids=named)
def test_a_members_loss_does_not_know_its_neighbours(task: Task) -> None:
    output, target = draw(task, 9, 17)
    output = output.float()
    target = target.float() if target.is_floating_point() else target

    def backward(members: slice) -> tuple[Tensor, Tensor]:
        own = output[members].clone().requires_grad_()
        loss = task.loss(own, target[members])
        loss.mean(-1).sum().backward()
        assert own.grad is not None
        return loss.detach(), own.grad

    together = backward(slice(0, 9))
    for members in (slice(0, 2), slice(3, 8)):
        for part, whole in zip(backward(members), together, strict=True):
            assert torch.equal(part, whole[members])


@pytest.mark.parametrize("task", CLASSES, ids=named)
def test_cross_entropy_is_finite_far_out(task: Task) -> None:
    output = torch.full((2, 3, task.outputs), 1e4)
    output[..., -1] = -1e4
    for filler in (0, 1):
        target = torch.full((2, 3, task.outputs), float(filler))
        if task.kind != "multilabel":
            target = torch.full((2, 3), filler)
        for smoothing in (None, torch.full((2,), 0.1)):
            own = output.clone().requires_grad_()
            loss = task.loss(own, target, smoothing)
            loss.sum().backward()
            assert loss.isfinite().all()
            assert own.grad is not None
            assert own.grad.isfinite().all()


# catalogue: T12: a score of exactly 0 is an error of either class, so that zero weights learn.
@pytest.mark.parametrize("target", [0, 1])
def test_a_margin_loss_has_a_gradient_at_its_corner(target: int) -> None:
    for task, width in ((BINARY, 1), (MULTICLASS, 4)):
        output = torch.zeros(1, width, requires_grad=True)
        replace(task, loss_name="perceptron").loss(output, torch.tensor([target])).sum().backward()
        assert output.grad is not None
        own = output.grad[0, target if width > 1 else 0]
        assert own == (1 if width == 1 and target == 0 else -1)


def perceptron(features: Tensor, target: Tensor, steps: int) -> list[int]:
    """Full-batch steps of rate 1 on the perceptron loss from zero weights: the number of errors before each."""
    task = Binary(names=("y",), classes=("0", "1"), loss_name="perceptron")
    weights = torch.zeros(features.shape[1], 1, dtype=features.dtype, requires_grad=True)
    errors = []
    for _ in range(steps):
        output = features @ weights
        errors.append(int(((output.squeeze(-1) > 0) != (target > 0)).sum()))
        (gradient,) = torch.autograd.grad(task.loss(output, target).sum(), weights)
        weights.data -= gradient
    return errors


# catalogue: T12
def test_batch_perceptron_separates_what_can_be_and_never_settles_on_xor() -> None:
    generator = torch.Generator().manual_seed(1)
    points = torch.randn(200, 3, generator=generator)
    points[:, 2] = 1
    side = points @ torch.tensor([2.0, -1.0, 0.3])
    separable = side.abs() > 0.3
    assert perceptron(points[separable], (side[separable] > 0).long(), 500)[-1] == 0

    corners = torch.tensor([[0.0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
    assert min(perceptron(corners, torch.tensor([0, 1, 1, 0]), 500)) >= 1


# catalogue: T12
@pytest.mark.parametrize("classes", [2, 3])
def test_logistic_regression_by_gradient_agrees_with_scikit_learns(classes: int) -> None:
    generator = np.random.default_rng(0)
    x = generator.standard_normal((150, 2))
    y = np.digitize(x @ [1.0, -0.5] + 1.5 * generator.standard_normal(150), [0, 1][: classes - 1])
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x, y)
    task: Task = BINARY if classes == 2 else Multiclass(names=("y",), classes=("a", "b", "c"))
    inputs, target = torch.from_numpy(np.c_[x, np.ones(150)]), torch.from_numpy(y)
    weights = torch.zeros(3, task.outputs, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=500, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = task.loss(inputs @ weights, target).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    ours = task.predict(inputs @ weights.detach()).numpy()
    np.testing.assert_allclose(ours, theirs.predict_proba(x), atol=1e-4)


def test_weights_survive_inference_mode() -> None:
    task = replace(BINARY, class_weights=(1.25, 0.75))
    output, target = draw(task, 4)
    with torch.inference_mode():
        task.loss(output, target)
    task.loss(output.requires_grad_(), target).sum().backward()
    assert output.grad is not None
