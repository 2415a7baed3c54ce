"""Each rule takes the steps of its torch.optim or pytorch_optimizer counterpart, for many members in one stack."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import pytorch_optimizer
import torch
from torch import Tensor
from torch.testing import assert_close

from tutti.core import Layout, configure
from tutti.optim import RULES

from .conftest import DECAY, STEPS, WEIGHTS, constant, cut, gradient_at, peaks, start, trace

Solo = Callable[[Tensor, float, float], torch.optim.Optimizer]
T: Any = torch.optim
P: Any = pytorch_optimizer
L2 = {"weight_decay": DECAY, "weight_decouple": False, "foreach": False}
W = {"weight_decay": DECAY, "weight_decouple": True, "foreach": False}


def case(
    name: str,
    options: dict[str, Any],
    solo: Solo,
    *,
    decay: float = DECAY,
    close: float = 1e-11,
    schedule: Callable[[int], float] = cut,
    calm: float = 1.0,
) -> Any:
    return pytest.param(
        name, options, solo, decay, close, schedule, calm * peaks(), id=name + "".join(f"-{key}" for key in options)
    )


# Where `close` is not 1e-11, the peer adds 1e-15 under the root, puts ε elsewhere, or keeps numbers in single
# precision. calm: smaller rates where the function makes a rule chaotic and so enlarges rounding.
CASES = [
    case("signsgd", {}, lambda w, r, m: P.SignSGD([w], r, momentum=0.0, **L2)),
    case("signum", {}, lambda w, r, m: P.SignSGD([w], r, momentum=m, **L2)),
    case("tiger", {}, lambda w, r, m: P.Tiger([w], r, beta=m, **W)),
    case("lion", {}, lambda w, r, m: P.Lion([w], r, betas=(m, 0.99), **W)),
    case("lion", {"decay": "coupled", "beta2": 0.8}, lambda w, r, m: P.Lion([w], r, betas=(m, 0.8), **L2)),
    case("c_lion", {}, lambda w, r, m: P.Lion([w], r, betas=(m, 0.99), cautious=True, **W)),
    case(
        "rprop",
        {},
        lambda w, r, m: T.Rprop([w], r, step_sizes=(1e-6 * r, 50 * r)),
        decay=0.0,
        schedule=constant,
    ),
    case(
        "rprop",
        {"grow": 1.5, "shrink": 0.3, "smallest": 0.1, "largest": 3.0},
        lambda w, r, m: T.Rprop([w], r, etas=(0.3, 1.5), step_sizes=(0.1 * r, 3 * r)),
        decay=0.0,
        schedule=constant,
    ),
    case("grams", {}, lambda w, r, m: P.Grams([w], r, betas=(m, 0.999), foreach=False), decay=0.0),
    case("amsgrad", {}, lambda w, r, m: T.Adam([w], r, betas=(m, 0.999), amsgrad=True, weight_decay=DECAY)),
    case("adamax", {}, lambda w, r, m: T.Adamax([w], r, betas=(m, 0.999), weight_decay=DECAY)),
    case(
        "adamax",
        {"beta2": 0.9, "epsilon": 1e-2},
        lambda w, r, m: T.Adamax([w], r, betas=(m, 0.9), eps=1e-2, weight_decay=DECAY),
    ),
    case(
        "adabound",
        {},
        lambda w, r, m: P.AdaBound([w], r, final_lr=100 * r, betas=(m, 0.999), **L2),
        close=1e-7,
    ),
    case(
        "adabound",
        {"decay": "decoupled", "final": 3.0, "speed": 0.2, "beta2": 0.9},
        lambda w, r, m: P.AdaBound([w], r, final_lr=3 * r, betas=(m, 0.9), gamma=0.2, **W),
        close=1e-7,
    ),
    case(
        "amsbound",
        {"final": 3.0, "speed": 0.2},
        lambda w, r, m: P.AdaBound([w], r, final_lr=3 * r, gamma=0.2, betas=(m, 0.999), ams_bound=True, **L2),
        close=1e-7,
    ),
    case("adamod", {}, lambda w, r, m: P.AdaMod([w], r, betas=(m, 0.999, 0.999), **L2)),
    case(
        "adamod",
        {"beta2": 0.9, "beta3": 0.5, "epsilon": 0.1},
        lambda w, r, m: P.AdaMod([w], r, betas=(m, 0.9, 0.5), eps=0.1, **L2),
    ),
    case(
        "adopt",
        {},
        lambda w, r, m: P.ADOPT([w], r, betas=(m, 0.9999), clip_lambda=lambda t: (t - 1) ** 0.25, **L2),
    ),
    case(
        "adopt",
        {"clip": False, "beta2": 0.5},
        lambda w, r, m: P.ADOPT([w], r, betas=(m, 0.5), clip_lambda=None, **L2),
    ),
    case("adabelief", {}, lambda w, r, m: P.AdaBelief([w], r, betas=(m, 0.999), **W), calm=0.1),
    case(
        "adabelief",
        {"beta2": 0.9, "epsilon": 1e-2, "decay": "coupled"},
        lambda w, r, m: P.AdaBelief([w], r, betas=(m, 0.9), eps=1e-2, **L2),
    ),
    case("yogi", {"start": 0.0}, lambda w, r, m: P.Yogi([w], r, betas=(m, 0.999), initial_accumulator=0.0, **L2)),
    case("msvag", {}, lambda w, r, m: P.MSVAG([w], r, beta=m, foreach=False), decay=0.0, close=1e-9),
    case(
        "adashift",
        {},
        lambda w, r, m: P.AdaShift([w], r, betas=(m, 0.999), foreach=False),
        decay=0.0,
    ),
    case(
        "adashift",
        {"window": 3, "beta2": 0.9, "by_layer": False},
        lambda w, r, m: P.AdaShift([w], r, betas=(m, 0.9), keep_num=3, reduce_func=lambda x: x, foreach=False),
        decay=0.0,
    ),
    case("kate", {}, lambda w, r, m: P.Kate([w], r, **L2)),
    case("kate", {"delta": 0.3, "epsilon": 0.1}, lambda w, r, m: P.Kate([w], r, delta=0.3, eps=0.1, **L2)),
    case("madgrad", {"epsilon": 1e-13}, lambda w, r, m: P.MADGRAD([w], r, momentum=m, eps=1e-13, **L2), close=1e-9),
    case("ftrl", {}, lambda w, r, m: P.FTRL([w], r, foreach=False), decay=0.0, schedule=constant),
    case(
        "ftrl",
        {"beta": 1.0, "lambda1": 0.7, "lambda2": 0.2},
        lambda w, r, m: P.FTRL([w], r, beta=1.0, lambda_1=0.7, lambda_2=0.2, foreach=False),
        decay=0.0,
        schedule=constant,
    ),
    case("sgdw", {}, lambda w, r, m: P.SGDW([w], r, momentum=m, **W)),
    case("qhm", {}, lambda w, r, m: P.QHM([w], r, momentum=m, nu=0.7, **L2)),
    case("aggmo", {}, lambda w, r, m: P.AggMo([w], r, betas=(0.0, 0.9, 0.99), **L2)),
    case("aggmo", {"gammas": [0.5, 0.8]}, lambda w, r, m: P.AggMo([w], r, betas=(0.5, 0.8), **L2)),
    case(
        "pid",
        {},
        lambda w, r, m: P.PID([w], r, momentum=m, integral=5.0, derivative=10.0, **L2),
        calm=0.03,
    ),
    case("accsgd", {}, lambda w, r, m: P.AccSGD([w], r, weight_decay=DECAY, foreach=False)),
    case(
        "accsgd",
        {"kappa": 20.0, "xi": 4.0, "constant": 0.5},
        lambda w, r, m: P.AccSGD([w], r, kappa=20.0, xi=4.0, constant=0.5, weight_decay=DECAY, foreach=False),
    ),
    case("pnm", {}, lambda w, r, m: P.PNM([w], r, betas=(m, 1.0), **W)),
    case("pnm", {"beta": 0.4}, lambda w, r, m: P.PNM([w], r, betas=(m, 0.4), **W)),
    case(
        "adapnm",
        {"epsilon": 1e-14},
        lambda w, r, m: P.AdaPNM([w], r, betas=(m, 0.999, 1.0), eps=1e-14, **W),
        close=1e-7,
    ),
    case("adai", {}, lambda w, r, m: P.Adai([w], r, betas=(0.1, 0.99), **L2)),
    case(
        "adai",
        {"beta0": 0.3, "beta2": 0.9, "decay": "decoupled"},
        lambda w, r, m: P.Adai([w], r, betas=(0.3, 0.9), **W),
    ),
    case(
        "stable_adamw",
        {},
        lambda w, r, m: P.StableAdamW([w], r, betas=(m, 0.99), weight_decay=0.0, foreach=False),
        decay=0.0,
    ),
    case("nadam", {}, lambda w, r, m: T.NAdam([w], r, betas=(m, 0.999), weight_decay=DECAY)),
    case(
        "nadam",
        {"warming": 0.1, "beta2": 0.9, "decay": "decoupled"},
        lambda w, r, m: T.NAdam(
            [w], r, betas=(m, 0.9), momentum_decay=0.1, weight_decay=DECAY, decoupled_weight_decay=True
        ),
    ),
    case("radam", {}, lambda w, r, m: T.RAdam([w], r, betas=(m, 0.999), weight_decay=DECAY)),
    case("radam", {"beta2": 0.9}, lambda w, r, m: T.RAdam([w], r, betas=(m, 0.9), weight_decay=DECAY)),
    case("qhadam", {}, lambda w, r, m: P.QHAdam([w], r, betas=(m, 0.999), nus=(0.7, 1.0), **L2), close=1e-5),
    case(
        "qhadam",
        {"nu1": 0.4, "nu2": 0.6, "beta2": 0.9},
        lambda w, r, m: P.QHAdam([w], r, betas=(m, 0.9), nus=(0.4, 0.6), **L2),
        close=1e-5,
    ),
    case(
        "laprop",
        {},
        lambda w, r, m: P.LaProp([w], r, betas=(m, 0.999), foreach=False),
        decay=0.0,
        close=1e-7,
        schedule=constant,
    ),
    case(
        "diffgrad",
        {"epsilon": 1e-14},
        lambda w, r, m: P.DiffGrad([w], r, betas=(m, 0.999), eps=1e-14, **L2),
        close=1e-7,
    ),
    case("adan", {}, lambda w, r, m: P.Adan([w], r, betas=(m, 0.92, 0.99), **W)),
    case(
        "adan",
        {"beta2": 0.7, "beta_change": 0.5},
        lambda w, r, m: P.Adan([w], r, betas=(m, 0.5, 0.7), **W),
    ),
    case("ademamix", {}, lambda w, r, m: P.AdEMAMix([w], r, betas=(m, 0.999, 0.9999), alpha=5.0, **W)),
    case(
        "ademamix",
        {"warmup": 30, "beta3": 0.99, "alpha": 2.0},
        lambda w, r, m: P.AdEMAMix([w], r, betas=(m, 0.999, 0.99), alpha=2.0, t_alpha_beta3=30, **W),
    ),
    case("exadam", {}, lambda w, r, m: P.EXAdam([w], r, betas=(m, 0.999), **W), calm=0.1),
    case(
        "mars",
        {"epsilon": 1e-14},
        lambda w, r, m: P.MARS([w], r, betas=(m, 0.99), eps=1e-14, optimize_1d=True, **W),
        close=1e-7,
    ),
    case(
        "mars",
        {"epsilon": 1e-14, "gamma": 0.5, "beta2": 0.9},
        lambda w, r, m: P.MARS([w], r, betas=(m, 0.9), gamma=0.5, eps=1e-14, optimize_1d=True, **W),
        close=1e-7,
    ),
]


@pytest.fixture
def double() -> Iterator[None]:
    """Peers keep running products of the betas in the default precision."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def alone(solo: Solo, rates: Tensor, momenta: Tensor, schedule: Callable[[int], float]) -> Tensor:
    """Each member by its own optimiser: the weights after each step, [step, member, weights]."""
    finished = []
    for weights, peak, momentum in zip(start(), rates.flatten().tolist(), momenta.flatten().tolist(), strict=True):
        own = weights.clone().requires_grad_()
        optimizer = solo(own, peak, momentum)
        path = []
        for step in range(1, STEPS + 1):
            optimizer.param_groups[0]["lr"] = peak * schedule(step)
            own.grad = gradient_at(own.detach(), step)
            optimizer.step()
            path.append(own.detach().clone())
        finished.append(torch.stack(path))
    return torch.stack(finished, dim=1)


# catalogue: L6, L8
@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("momenta", ["shared", "own"])
@pytest.mark.parametrize(("name", "options", "solo", "decay", "close", "schedule", "rates"), CASES)
def test_stack_takes_the_peers_steps(
    name: str,
    options: dict[str, Any],
    solo: Solo,
    decay: float,
    close: float,
    schedule: Callable[[int], float],
    rates: Tensor,
    momenta: str,
) -> None:
    rule = configure("optimiser", RULES, {"name": name, **options})
    own = torch.tensor([0.5, 0.9, 0.8, 0.95, 0.1], dtype=torch.float64)[:, None]
    given: float | Tensor = 0.9 if momenta == "shared" else own
    layout = Layout(("w",), (torch.Size([WEIGHTS]),), (WEIGHTS,))
    ours = trace(rule, start(), rates, given, decay=decay, schedule=schedule, layout=layout)
    theirs = alone(solo, rates, own if momenta == "own" else torch.full_like(own, 0.9), schedule)
    assert_close(ours, theirs, rtol=close, atol=close)
