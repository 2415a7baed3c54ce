"""Rules that see layers, distances or averages take the steps of their published implementations."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tutti import optim
from tutti.core import InputError, Layout
from tutti.optim import Rule

from .shaped import LAYOUT, SHAPES, STEPS, Solo, cut, gradient_at, rates, run, run_alone, start

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    PO: Any = pytest.importorskip("pytorch_optimizer")
DECAY = 0.03
T = torch.optim


def case(rule: Rule, solo: Solo, decay: float = DECAY, close: float = 1e-10) -> Any:
    return pytest.param(rule, solo, decay, close, id=f"{rule.name}-{decay}")


CASES = [
    case(optim.LARS(), lambda p, r, m: PO.LARS(p, lr=r, momentum=m, weight_decay=DECAY)),
    case(optim.Fromage(), lambda p, r, m: PO.Fromage(p, lr=r), decay=0),
    case(optim.NovoGrad(), lambda p, r, m: PO.NovoGrad(p, lr=r, betas=(m, 0.98), weight_decay=DECAY)),
    # pytorch-optimizer leaves epsilon out of the bias correction, the authors and we do not
    case(
        optim.AdamP(epsilon=1e-15),
        lambda p, r, m: PO.AdamP(p, lr=r, betas=(m, 0.999), weight_decay=DECAY, eps=1e-15),
    ),
    case(
        optim.AdamP(nesterov=True, epsilon=1e-15),
        lambda p, r, m: PO.AdamP(p, lr=r, betas=(m, 0.999), nesterov=True, eps=1e-15),
        decay=0,
    ),
    case(optim.SGDP(), lambda p, r, m: PO.SGDP(p, lr=r, momentum=m, weight_decay=DECAY)),
    case(optim.SGDP(nesterov=True), lambda p, r, m: PO.SGDP(p, lr=r, momentum=m, nesterov=True), decay=0),
    case(optim.Adafactor(), lambda p, r, m: T.Adafactor(p, lr=r, weight_decay=DECAY)),
    case(optim.SM3(), lambda p, r, m: PO.SM3(p, lr=r, momentum=m), decay=0),
    case(
        optim.Prodigy(start=1e-2),
        lambda p, r, m: PO.Prodigy(p, lr=r, betas=(m, 0.999), d0=1e-2, weight_decay=DECAY),
        close=2e-5,
    ),
    case(
        optim.Prodigy(start=1e-2, growth=1.05, factor=2.0),
        lambda p, r, m: PO.Prodigy(p, lr=r, betas=(m, 0.999), d0=1e-2, growth_rate=1.05, d_coef=2.0),
        decay=0,
        close=2e-5,
    ),
    case(
        optim.DAdaptAdam(start=1e-2, decay="decoupled"),
        lambda p, r, m: PO.DAdaptAdam(p, r, (m, 0.999), d0=1e-2, weight_decay=DECAY, weight_decouple=True),
        close=2e-5,
    ),
    case(
        optim.DAdaptSGD(start=1e-2),
        lambda p, r, m: PO.DAdaptSGD(p, lr=r, momentum=m, d0=1e-2, weight_decay=DECAY),
        close=2e-5,
    ),
]


# catalogue: L6
@pytest.mark.parametrize(("rule", "solo", "decay", "close"), CASES)
def test_a_stack_takes_the_published_steps(rule: Rule, solo: Solo, decay: float, close: float) -> None:
    ours, _ = run(rule, start(), rates(), decay=decay)
    theirs = run_alone(solo, start(), rates())
    assert (theirs - start()).abs().max() > 1e-3
    assert_close(ours, theirs, rtol=close, atol=close)


# catalogue: L6
def test_adafactors_rate_is_at_most_one_over_the_root_of_the_step() -> None:
    ours, _ = run(optim.Adafactor(), start(), 30 * rates())
    theirs = run_alone(lambda p, r, _: T.Adafactor(p, lr=r, weight_decay=0.0), start(), 30 * rates())
    assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


# catalogue: L6
@pytest.mark.parametrize("decay", [0.0, DECAY])
@pytest.mark.parametrize("bias_correction", [False, True])
def test_prodigy_takes_the_authors_steps_while_its_distance_grows(bias_correction: bool, decay: float) -> None:
    rule = optim.Prodigy(start=1e-3, bias_correction=bias_correction)
    ours, stepper = run(rule, start(), 30 * rates(), decay=decay)

    def solo(p: list[Tensor], r: float, m: float) -> torch.optim.Optimizer:
        options = {"d0": 1e-3, "weight_decay": decay, "bias_correction": bias_correction}
        made = PO.Prodigy(p, lr=r, betas=(m, 0.999), **options)
        return made  # type: ignore[no-any-return]

    theirs = run_alone(solo, start(), 30 * rates())
    assert stepper.state["distance"].max() > 3e-3
    assert_close(ours, theirs, rtol=2e-4, atol=2e-4)  # pytorch-optimizer's distance is in float32


# catalogue: L6
@pytest.mark.parametrize("decay", [0.0, DECAY])
def test_lamb_is_algorithm_2(decay: float) -> None:
    weights = start()
    views = {n: v.numpy().copy() for n, v in LAYOUT.views(weights).items()}
    mean = {n: np.zeros_like(v) for n, v in views.items()}
    square = {n: np.zeros_like(v) for n, v in views.items()}
    row = weights.clone()
    for step in range(1, STEPS + 1):
        for name, v in LAYOUT.views(row).items():
            v.copy_(torch.as_tensor(views[name]))
        gradients = LAYOUT.views(gradient_at(row, step))
        for name, w in views.items():
            g = gradients[name].numpy()
            mean[name] = 0.9 * mean[name] + 0.1 * g
            square[name] = 0.999 * square[name] + 0.001 * g * g
            r = mean[name] / (1 - 0.9**step) / (np.sqrt(square[name] / (1 - 0.999**step)) + 1e-6) + decay * w
            for member in range(len(w)):
                norm = np.linalg.norm(r[member])
                trust = min(np.linalg.norm(w[member]), 10.0) / norm
                w[member] = w[member] - rates()[member, 0].item() * cut(step) * trust * r[member]
    ours, _ = run(optim.LAMB(), start(), rates(), decay=decay)
    for name, view in LAYOUT.views(ours).items():
        assert_close(view.numpy(), views[name], rtol=1e-10, atol=1e-12)


# catalogue: L6
@pytest.mark.parametrize("decay", [0.0, DECAY])
@pytest.mark.parametrize(
    ("rule", "solo"),
    [
        (optim.ScheduleFreeSGD(), lambda p, r, m, d: PO.ScheduleFreeSGD(p, lr=r, momentum=m, weight_decay=d)),
        (
            optim.ScheduleFreeAdamW(),
            lambda p, r, m, d: PO.ScheduleFreeAdamW(p, lr=r, betas=(m, 0.999), weight_decay=d),
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_schedule_free_trains_at_y_and_is_judged_at_x(rule: Rule, solo: Callable[..., Any], decay: float) -> None:
    made: list[Any] = []

    def build(p: list[Tensor], r: float, m: float) -> torch.optim.Optimizer:
        made.append((p, solo(p, r, m, decay)))
        return made[-1][1]  # type: ignore[no-any-return]

    ours, stepper = run(rule, start(), rates(), decay=decay)
    theirs = run_alone(build, start(), rates())
    assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    judged = stepper.evaluated(ours, momentum=0.9)
    for member, (parameters, optimizer) in enumerate(made):
        optimizer.eval()
        for view, parameter in zip(LAYOUT.views(judged).values(), parameters, strict=True):
            assert_close(view[member], parameter.detach(), rtol=1e-10, atol=1e-10)


# catalogue: L6
def test_muon_takes_torchs_steps_on_hidden_matrices_and_adams_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = optim.Muon()
    assert rule.hidden(LAYOUT) == ("first.weight", "kernel", "middle.weight")
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda self: self.clone())  # torch's in full precision
    ours, _ = run(rule, start(), rates(), decay=DECAY, momentum=0.95)
    matrices = ("first.weight", "middle.weight")
    others = ("first.bias", "gain", "last.weight", "last.bias")
    by_torch = run_alone(
        lambda p, r, m: T.Muon(p, lr=r, momentum=m, weight_decay=DECAY, adjust_lr_fn="match_rms_adamw"),
        start(),
        rates(),
        momentum=0.95,
        names=matrices,
    )
    by_adam = run_alone(
        lambda p, r, m: T.AdamW(p, lr=r, betas=(m, 0.999), weight_decay=DECAY),
        start(),
        rates(),
        momentum=0.95,
        names=others,
    )
    for name, view in LAYOUT.views(ours).items():
        if name in matrices:
            assert_close(view, LAYOUT.views(by_torch)[name], rtol=1e-9, atol=1e-10)
        elif name in others:
            assert_close(view, LAYOUT.views(by_adam)[name], rtol=1e-9, atol=1e-10)


def test_muon_takes_a_kernel_as_a_matrix_of_its_outputs() -> None:
    flat = Layout.of_tensors({"a": torch.zeros(5, 12), "b": torch.zeros(2, 2)})
    deep = Layout.of_tensors({"a": torch.zeros(5, 3, 2, 2), "b": torch.zeros(2, 2)})
    one, _ = run(optim.Muon(scale="shape"), start(), rates(), layout=flat)
    other, _ = run(optim.Muon(scale="shape"), start(), rates(), layout=deep)
    assert torch.equal(one, other)


@pytest.mark.parametrize("shape", [(7, 3), (3, 7), (5, 5)])
def test_newton_schulz_brings_singular_values_near_one(shape: tuple[int, int]) -> None:
    g = torch.randn(4, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    u, s, v = torch.linalg.svd(g, full_matrices=False)
    assert s.max() / s.min() > 3
    x = optim.orthogonalise(g)
    turned = u.mT @ x @ v.mT
    diagonal = turned.diagonal(dim1=1, dim2=2)
    assert_close(turned, torch.diag_embed(diagonal), rtol=0, atol=1e-10)
    assert diagonal.min() > 0.6
    assert diagonal.max() < 1.3
    assert not optim.orthogonalise(torch.zeros(1, 2, 3)).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(7, 3), (24, 64)])
def test_newton_schulz_does_not_know_how_the_members_are_divided(shape: tuple[int, int], dtype: torch.dtype) -> None:
    g = torch.randn(41, *shape, dtype=dtype, generator=torch.Generator().manual_seed(0))
    together = optim.orthogonalise(g)
    for some in (slice(0, 2), slice(5, 22), slice(39, 41)):
        assert torch.equal(optim.orthogonalise(g[some]), together[some])


# catalogue: L6
def test_soap_takes_the_authors_steps_with_matrices() -> None:
    """On square matrices, whose statistics have no null space: in one any basis is as good as another."""
    layout = Layout.of_tensors({"a": torch.zeros(5, 5), "b": torch.zeros(4, 4), "c": torch.zeros(3)})

    def gradient(weights: Tensor, step: int) -> Tensor:
        return gradient_at(weights, step, layout)

    def solo(p: list[Tensor], r: float, m: float) -> torch.optim.Optimizer:
        made = PO.SOAP(p, lr=r, betas=(m, 0.95), precondition_frequency=5, weight_decay=0.0)
        return made  # type: ignore[no-any-return]

    weights = start(layout=layout)
    ours, _ = run(optim.SOAP(every=5), weights, rates(), momentum=0.95, layout=layout, gradient=gradient)
    theirs = run_alone(solo, weights, rates(), momentum=0.95, layout=layout)
    assert (ours - weights).abs().max() > 0.1
    assert_close(ours, theirs, rtol=1e-4, atol=1e-5)  # pytorch-optimizer's QR is in float32


# catalogue: L6
@pytest.mark.parametrize("every", [1, 4])
def test_shampoo_is_algorithm_1_on_matrices(every: int) -> None:
    name = "middle.weight"
    weights = start()
    ours, _ = run(optim.Shampoo(every=every), weights, rates(), momentum=0.0)
    row = weights.clone()
    places = LAYOUT.views(row)[name]
    left = 1e-6 * torch.eye(4, dtype=row.dtype).expand(3, 4, 4).clone()
    right = 1e-6 * torch.eye(6, dtype=row.dtype).expand(3, 6, 6).clone()

    def power(square: Tensor) -> Tensor:
        values, vectors = np.linalg.eigh(square.numpy())
        return torch.as_tensor(np.einsum("mij,mj,mkj->mik", vectors, np.maximum(values, 1e-6) ** -0.25, vectors))

    for step in range(1, STEPS + 1):
        g = LAYOUT.views(gradient_at(row, step))[name]
        left, right = left + g @ g.mT, right + g.mT @ g
        if step == 1 or step % every == 0:
            roots = power(left), power(right)
        places -= (rates() * cut(step))[:, :, None] * (roots[0] @ g @ roots[1])
    assert_close(LAYOUT.views(ours)[name], places, rtol=1e-8, atol=1e-10)


def test_a_side_that_is_too_wide_is_left_alone() -> None:
    for rule in (optim.SOAP(widest=4), optim.Shampoo(widest=4)):
        state = rule.bind(LAYOUT).init(start())
        assert {k.split(".", 1)[0] for k in state if "kernel" in k} == set()
        assert "left.middle.weight" in state
        assert "right.middle.weight" not in state
        assert run(rule, start(), rates())[0].isfinite().all()


LAYERED = [
    *(optim.LARS(), optim.LAMB(), optim.Fromage(), optim.NovoGrad(), optim.AdamP(), optim.SGDP()),
    *(optim.Adafactor(), optim.SM3(), optim.Muon(), optim.Shampoo(every=3), optim.SOAP(every=3)),
    *(optim.ScheduleFreeSGD(), optim.ScheduleFreeAdamW(), optim.Prodigy(start=1e-2)),
    *(optim.DAdaptAdam(start=1e-2), optim.DAdaptSGD(start=1e-2)),
    *(optim.SAM(), optim.ASAM(), optim.Lookahead(), optim.EMA(), optim.SWA(first=3, every=2), optim.Centralised()),
]
ids = [rule.name for rule in LAYERED]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("momenta", ["shared", "own"])
@pytest.mark.parametrize("rule", LAYERED, ids=ids)
def test_a_member_does_not_know_its_neighbours(rule: Rule, momenta: str, dtype: torch.dtype) -> None:
    everyone, peaks = start(11, dtype=dtype), rates(11, dtype)
    own = torch.linspace(0.5, 0.95, 11, dtype=dtype)[:, None]
    momentum: float | Tensor = 0.9 if momenta == "shared" else own
    together, stepper = run(rule, everyone, peaks, decay=DECAY, momentum=momentum, steps=12)
    judged = stepper.evaluated(together, momentum=momentum)
    for members in (slice(0, 2), slice(3, 8), slice(9, 11)):
        mine = momentum if isinstance(momentum, float) else momentum[members]
        alone, solo = run(rule, everyone[members], peaks[members], decay=DECAY, momentum=mine, steps=12)
        assert torch.equal(alone, together[members])
        if judged is not None:
            assert torch.equal(solo.evaluated(alone, momentum=mine), judged[members])


@pytest.mark.parametrize("rule", LAYERED, ids=ids)
def test_a_member_at_rate_zero_stands_still_and_padding_stays_zero(rule: Rule) -> None:
    peaks = rates()
    peaks[1] = 0
    weights, stepper = run(rule, start(), peaks, decay=DECAY)
    assert torch.equal(weights[1], start()[1])
    moved, _ = run(rule, start(), rates(), decay=DECAY, schedule=lambda step: float(step <= 3))
    before, _ = run(rule, start(), rates(), decay=DECAY, steps=3, schedule=lambda _: 1.0)
    assert torch.equal(moved, before)
    assert (weights[[0, 2]] - start()[[0, 2]]).abs().max() > 1e-6
    assert not weights[:, LAYOUT.used :].any()
    assert weights.isfinite().all()
    assert all(value.isfinite().all() for value in stepper.state.values())


@pytest.mark.parametrize("rule", LAYERED, ids=ids)
def test_a_state_saved_and_loaded_goes_on_bit_for_bit(rule: Rule) -> None:
    whole, _ = run(rule, start(), rates(), decay=DECAY, steps=9)
    weights = start()
    stepper = optim.Stepper(rule.bind(LAYOUT), weights)

    def go(first: int, last: int) -> None:
        for step in range(first, last):
            gradient = gradient_at(weights, step)

            def again(step: int = step, gradient: Tensor = gradient) -> Tensor:
                gradient.copy_(gradient_at(weights, step))
                return weights.sum(1)

            stepper.move(
                weights,
                gradient,
                step=step,
                rate=rates() * cut(step),
                weight_decay=torch.full_like(rates(), DECAY),
                momentum=0.9,
                loss=weights.sum(1),
                again=again,
            )

    go(1, 6)
    saved, plain = stepper.save()
    stepper = optim.Stepper(rule.bind(LAYOUT), weights)
    stepper.load(saved, plain)
    go(6, 10)
    assert torch.equal(weights, whole)


@pytest.mark.parametrize("rule", LAYERED, ids=ids)
def test_each_goes_down_a_bowl(rule: Rule) -> None:
    """½ Σ c (w − 1)² with curvatures c from ½ to 2, at the rate that the rule itself calls usual."""
    curve = torch.linspace(0.5, 2, LAYOUT.count, dtype=torch.float64)
    curve[LAYOUT.used :] = 0

    def loss(weights: Tensor) -> Tensor:
        return 0.5 * (curve * (weights - 1) ** 2).sum(1)

    peaks = torch.full((3, 1), 3e-3 * rule.usual_rate, dtype=torch.float64)
    weights, stepper = run(
        rule, start(), peaks, steps=300, gradient=lambda w, _: curve * (w - 1), schedule=lambda _: 1
    )
    judged = stepper.evaluated(weights, momentum=0.9)
    assert (loss(weights if judged is None else judged) < 0.8 * loss(start())).all()


def test_shapes_are_needed_and_said_to_be() -> None:
    assert set(SHAPES) == set(LAYOUT.names)
    with pytest.raises(InputError, match="bind"):
        optim.Adafactor().init(start())
