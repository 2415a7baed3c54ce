"""Optimisers of torch and pytorch-optimizer run member by member, as in a plain loop, and resume to the bit."""

import json
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tutti.core import InputError, Setting
from tutti.optim import Foreign, Rule, find_rule, foreign_classes
from tutti.optim._foreign import REFUSED

from .shaped import LAYOUT, gradient_at, start

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("pytorch_optimizer")
NEEDED = {"pytorch_optimizer.Ranger21": {"num_iterations": 100}, "pytorch_optimizer.Kron": {"balance_prob": 0.5}}
EVERY = [f"{o}.{n}" for o in ("torch", "pytorch_optimizer") for n in foreign_classes(o)]
QUICK = {  # each stands for a way of its own to be called or saved
    *("torch.LBFGS", "pytorch_optimizer.AdaHessian", "pytorch_optimizer.Kron", "pytorch_optimizer.Magma"),
    *("pytorch_optimizer.MuonClip", "pytorch_optimizer.SPAM", "pytorch_optimizer.StableSPAM"),
    *("pytorch_optimizer.ScalableShampoo", "pytorch_optimizer.ScheduleFreeRAdam"),
}
# Those whose steps are too short to see in 60, by their own warm-up or because they move few weights on purpose.
SLOW_STARTERS = {"pytorch_optimizer.SaRA", "pytorch_optimizer.Ranger", "pytorch_optimizer.AdaMod"}
names = pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in EVERY if n not in REFUSED]
)
CURVE = torch.linspace(0.5, 2, LAYOUT.count)
CURVE[LAYOUT.used :] = 0


def rule_named(name: str) -> Rule:
    return find_rule({"name": name, **NEEDED.get(name, {})})


def settings(rule: Rule, members: int = 3) -> list[Setting]:
    return [Setting(learning_rate=rule.usual_rate * r, weight_decay=0.01) for r in (1e-3, 3e-3, 5e-3)[-members:]]


def loss(weights: Tensor) -> Tensor:
    return 0.5 * (CURVE * (weights - 1) ** 2).sum(1)


def go(stepper: Any, weights: Tensor, own: list[Setting], first: int, last: int) -> None:
    for step in range(first, last + 1):
        gradient = CURVE * (weights - 1)

        def again(member: int | None = None, gradient: Tensor = gradient) -> Tensor:
            gradient.copy_(CURVE * (weights - 1))
            return loss(weights)

        stepper.move(
            weights,
            gradient,
            step=step,
            rate=torch.tensor([s.learning_rate for s in own])[:, None],
            weight_decay=torch.tensor([s.weight_decay for s in own])[:, None],
            momentum=0.9,
            loss=loss(weights),
            again=again,
        )


# catalogue: L6
@names
def test_each_trains_resumes_to_the_bit_and_does_not_know_its_neighbours(name: str) -> None:
    steps, cut = (8, 4) if "LBFGS" in name else (60, 19)
    rule = rule_named(name)
    own, whole = settings(rule), start().float()
    stepper = rule.stepper(whole, LAYOUT, own)
    go(stepper, whole, own, 1, cut)
    tensors, plain = stepper.save()
    resumed = whole.clone()
    other = rule.stepper(resumed, LAYOUT, own)
    other.load(tensors, json.loads(json.dumps(plain, allow_nan=False)))
    torch.rand(3)  # the global generator has no say
    np.random.rand(3)  # noqa: NPY002
    go(stepper, whole, own, cut + 1, steps)
    kept = {k: v.clone() for k, v in tensors.items()}
    go(other, resumed, own, cut + 1, steps)
    assert all(torch.equal(v, tensors[k]) for k, v in kept.items())  # a checkpoint may be loaded twice
    assert torch.equal(resumed, whole)
    alone = start().float()[1:]
    go(rule.stepper(alone, LAYOUT, own[1:]), alone, own[1:], 1, steps)
    assert torch.equal(alone, whole[1:])
    if name not in SLOW_STARTERS:
        assert (loss(whole) < 0.999 * loss(start().float())).all()


def test_dropped_members_leave_the_others_as_they_are() -> None:
    rule = rule_named("pytorch_optimizer.Kron")
    own, weights, kept = settings(rule), start().float(), start().float()
    stepper, other = rule.stepper(weights, LAYOUT, own), rule.stepper(kept, LAYOUT, own)
    go(stepper, weights, own, 1, 20)
    go(other, kept, own, 1, 10)
    other.keep(torch.tensor([0, 2]))
    kept = kept[[0, 2]]
    go(other, kept, [own[0], own[2]], 11, 20)
    assert torch.equal(kept, weights[[0, 2]])


# catalogue: L6
@pytest.mark.parametrize("name", ["torch.NAdam", "torch.RMSprop", "torch.Adadelta"])
def test_a_class_takes_the_steps_of_its_plain_loop(name: str) -> None:
    rule = rule_named(name)
    own, weights = settings(rule), start()
    stepper = rule.stepper(weights, LAYOUT, own)
    for step in range(1, 21):
        stepper.move(
            weights,
            gradient_at(weights, step),
            step=step,
            rate=torch.tensor([[s.learning_rate / step] for s in own], dtype=torch.float64),
            weight_decay=None,
            momentum=0.9,
            loss=weights.sum(1),
            again=lambda _=None: weights.sum(1),
        )
    for row, setting, ours in zip(start(), own, weights, strict=True):
        row = row.clone()
        parameters = [torch.nn.Parameter(v) for v in LAYOUT.views(row).values()]
        optimizer = getattr(torch.optim, name.partition(".")[2])(
            parameters, lr=setting.learning_rate, weight_decay=setting.weight_decay
        )
        for step in range(1, 21):
            optimizer.param_groups[0]["lr"] = setting.learning_rate / step
            for p, g in zip(parameters, LAYOUT.views(gradient_at(row, step)).values(), strict=True):
                p.grad = g.clone()
            optimizer.step()
        assert_close(ours, row, rtol=1e-12, atol=1e-14)


def test_a_class_without_weight_decay_gets_the_decoupled_kind() -> None:
    rule = rule_named("torch.LBFGS")
    weights = torch.ones(1, LAYOUT.count)
    stepper = rule.stepper(weights, LAYOUT, [Setting(learning_rate=0.1, weight_decay=0.5)])
    stepper.move(
        weights,
        torch.zeros_like(weights),
        step=1,
        rate=torch.full((1, 1), 0.1),
        weight_decay=torch.full((1, 1), 0.5),
        momentum=0.9,
        loss=torch.zeros(1),
        again=lambda _=None: torch.zeros(1),
    )
    assert_close(weights, torch.full_like(weights, 0.95))


def test_the_members_momentum_takes_the_classes_place_where_it_is_not_the_usual() -> None:
    rule = rule_named("torch.Adam")
    usual, own = Setting(), Setting(momentum=0.5)
    stepper = rule.stepper(start()[:2], LAYOUT, [usual, own])
    assert [o.param_groups[0]["betas"] for o in stepper.optimizers] == [(0.9, 0.999), (0.5, 0.999)]


def test_curvature_is_hutchinsons_estimate() -> None:
    """On a bowl with curvatures c, z·(Hz) is c for every z of signs."""
    rule = rule_named("pytorch_optimizer.AdaHessian")
    own, weights = settings(rule, 1), start(1).float()
    stepper = rule.stepper(weights, LAYOUT, own)
    go(stepper, weights, own, 1, 1)
    found = torch.cat([s["hessian"].flatten() for s in stepper.optimizers[0].state.values()])
    assert_close(found, CURVE[: LAYOUT.used], rtol=1e-3, atol=1e-3)


def test_a_failure_of_linear_algebra_is_the_members_own(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = rule_named("torch.SGD")
    own, weights = settings(rule), start().float()
    stepper = rule.stepper(weights, LAYOUT, own)

    def fail() -> None:
        raise torch.linalg.LinAlgError("no decomposition")

    monkeypatch.setattr(stepper.optimizers[1], "step", fail)
    go(stepper, weights, own, 1, 1)
    assert weights[1].isnan().all()
    assert weights[[0, 2]].isfinite().all()


def test_what_is_no_option_is_said() -> None:
    with pytest.raises(InputError, match="Did you mean 'eps'"):
        find_rule({"name": "torch.Adam", "epsi": 1e-7})
    with pytest.raises(InputError, match="learning_rates"):
        find_rule({"name": "torch.Adam", "lr": 1e-3})
    with pytest.raises(InputError, match="num_iterations"):
        find_rule("ranger21")
    with pytest.raises(InputError, match="sparse"):
        find_rule("torch.SparseAdam")
    with pytest.raises(InputError, match=r"Did you mean 'torch.Adagrad'"):
        find_rule("torch.Adagrat")


def test_options_go_to_the_class_and_survive_json() -> None:
    rule = find_rule({"name": "torch.Adam", "betas": [0.8, 0.9], "amsgrad": True})
    assert isinstance(rule, Foreign)
    assert find_rule(json.loads(json.dumps(rule.to_json()))) == rule
    stepper = rule.stepper(start(), LAYOUT, settings(rule))
    group = stepper.optimizers[0].param_groups[0]  # type: ignore[attr-defined]
    assert (group["betas"], group["amsgrad"]) == ((0.8, 0.9), True)


def test_without_the_package_the_way_to_install_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tutti.optim._foreign.foreign_classes", lambda _: {})
    with pytest.raises(InputError, match=r"tutti\[optimizers\]"):
        Foreign(origin="pytorch_optimizer", optimizer="Ranger")
