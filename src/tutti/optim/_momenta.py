"""Momenta beyond Polyak's and Nesterov's: averaged, mixed, cooled, restarted, with opposite signs."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tutti.core import InputError
from tutti.optim._elementwise import Each, Elementwise, Weights, over_rate
from tutti.optim._momentum import Momentum
from tutti.optim._rule import State


@dataclass(frozen=True, kw_only=True)
class SGDM(Elementwise):
    """SGDM (Liu, Gao, Yin 2020, arXiv 2007.07989): momentum as a mean, m ← γm + (1−γ)g, w ← w − ηm.

    `momentum` with a rate 1/(1−γ) times as large. One number per weight: "mean" (m).
    """

    name: ClassVar[str] = "sgdm"
    rate_scale: ClassVar[float] = 50.0
    kept: ClassVar[tuple[str, ...]] = ("mean",)

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mean = state["mean"].lerp_(gradient, 1 - momentum)
        return torch.neg(mean, out=gradient)


@dataclass(frozen=True, kw_only=True)
class SGDW(Momentum):
    """SGDW (Loshchilov and Hutter 2019): momentum with decoupled decay, w ← w(1 − η·weight_decay) − ηM.

    The decay falls with the scheduled rate, and M never sees it. One number per weight: "velocity" (M).
    """

    name: ClassVar[str] = "sgdw"
    decay: str = "decoupled"


@dataclass(frozen=True, kw_only=True)
class EarlyMomentum(Elementwise):
    """SGDEM (Ramezani-Kebrya, Khisti, Liang 2021, On the generalization of SGD with momentum): momentum at first.

        M ← γₜM + g     w ← w − ηM     with γₜ = γ for t <= until, 0 after

    γ is the member's momentum. One number per weight: "velocity" (M).
    """

    name: ClassVar[str] = "sgdem"
    rate_scale: ClassVar[float] = 10.0
    kept: ClassVar[tuple[str, ...]] = ("velocity",)
    not_negative: ClassVar[tuple[str, ...]] = ("until",)

    until: int = 1000

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        velocity = state["velocity"].mul_(momentum if step <= self.until else 0.0).add_(gradient)
        return torch.neg(velocity, out=gradient)


@dataclass(frozen=True, kw_only=True)
class QHM(Elementwise):
    """QHM (Ma and Yarats 2019, Quasi-hyperbolic momentum, arXiv 1810.06801): momentum and plain gradient, mixed.

        m ← γm + (1−γ)g     w ← w − η((1−ν)g + νm)

    nu ν; γ is the member's momentum (the paper: ν 0.7, γ 0.999). One number per weight: "mean" (m).
    """

    name: ClassVar[str] = "qhm"
    rate_scale: ClassVar[float] = 50.0
    kept: ClassVar[tuple[str, ...]] = ("mean",)
    not_negative: ClassVar[tuple[str, ...]] = ("nu",)

    nu: float = 0.7

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mean = state["mean"].lerp_(gradient, 1 - momentum)
        return gradient.lerp_(mean, self.nu).neg_()


@dataclass(frozen=True, kw_only=True)
class AggMo(Elementwise):
    """AggMo (Lucas, Sun, Zemel, Grosse 2019, Aggregated momentum, arXiv 1804.00325): the mean of several momenta.

        Mᵢ ← γᵢMᵢ + g     w ← w − (η/K) Σᵢ Mᵢ

    gammas: γ₁ … γ_K; the member's momentum is not used. K numbers per weight: "velocity0" ….
    """

    name: ClassVar[str] = "aggmo"
    rate_scale: ClassVar[float] = 5.0

    gammas: tuple[float, ...] = (0.0, 0.9, 0.99)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.gammas or not all(0 <= gamma < 1 for gamma in self.gammas):
            raise InputError(f"gammas is {self.gammas}; expected numbers in [0, 1).")

    @property
    def averages(self) -> tuple[str, ...]:
        return tuple(f"velocity{i}" for i in range(len(self.gammas)))

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        direction = torch.zeros_like(gradient)
        for name, gamma in zip(self.averages, self.gammas, strict=True):
            direction.sub_(state[name].mul_(gamma).add_(gradient))
        return direction.div_(len(self.gammas))


@dataclass(frozen=True, kw_only=True)
class PID(Elementwise):
    """PID (An, Wang, Sun, Xu, Dai, Zhang 2018, A PID controller approach): gradient, its sum and its change.

        I ← γI + g     D ← γD + (1−γ)(g − g₋)     w ← w − η(g + k_I·I + k_D·D)

    integral k_I, derivative k_D, γ the member's momentum; g₋ is the gradient before (no change at the first step).
    Three numbers per weight: "integral", "derivative", "last".
    """

    name: ClassVar[str] = "pid"
    kept: ClassVar[tuple[str, ...]] = ("integral", "derivative", "last")
    not_negative: ClassVar[tuple[str, ...]] = ("integral", "derivative")

    integral: float = 5.0
    derivative: float = 10.0

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        total, change, last = state["integral"].mul_(momentum).add_(gradient), state["derivative"], state["last"]
        if step > 1:
            change.lerp_(torch.sub(gradient, last, out=last), 1 - momentum)
        last.copy_(gradient)
        return gradient.add_(total, alpha=self.integral).add_(change, alpha=self.derivative).neg_()


@dataclass(frozen=True, kw_only=True)
class SRSGD(Elementwise):
    """SRSGD (Wang, Nguyen, Bertozzi, Baraniuk, Osher 2020, Scheduled restart momentum, arXiv 2002.10583).

        v' = w − ηg     w ← v' + μₜ(v' − v)     v ← v'     with μₜ = s/(s + 3), s = (t−1) mod restart

    Nesterov's (1983) growing momentum, thrown away every `restart` steps; 0: never. The member's momentum is not
    used. One number per weight: "push" (μ(v' − v), which holds rates, as in `heavy_ball`).
    """

    name: ClassVar[str] = "srsgd"
    rate_scale: ClassVar[float] = 5.0
    kept: ClassVar[tuple[str, ...]] = ("push",)
    not_negative: ClassVar[tuple[str, ...]] = ("restart",)

    restart: int = 40

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        since = (step - 1) % self.restart if self.restart else step - 1
        gradient.mul_(rate)
        push = state["push"].sub_(gradient).mul_(since / (since + 3))
        return over_rate(torch.sub(push, gradient, out=gradient), rate)


@dataclass(frozen=True, kw_only=True)
class CoolMomentum(Elementwise):
    """CoolMomentum (Borysenko and Byshkin 2021, arXiv 2005.14605): Langevin dynamics, annealed.

        ρ = max(0, 1 − (1−ρ₀)/αᵗ⁻¹)     M ← ρM − η g(1+ρ)/2     w ← w + M

    ρ₀ is the member's momentum (the paper: 0.99). cooling α = (1−ρ₀)^(1/T) ends the momentum at step T; 1 keeps it.
    One number per weight: "velocity" (M, which holds rates, as in `heavy_ball`).
    """

    name: ClassVar[str] = "coolmomentum"
    rate_scale: ClassVar[float] = 10.0
    kept: ClassVar[tuple[str, ...]] = ("velocity",)

    cooling: float = 0.99997

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.cooling <= 1:
            raise InputError(f"cooling is {self.cooling}; expected a number in (0, 1].")

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        rho = 1 - (1 - momentum) / self.cooling ** (step - 1)
        rho = rho.clamp(min=0.0) if isinstance(rho, Tensor) else max(rho, 0.0)
        velocity = state["velocity"].mul_(rho).sub_(gradient.mul_(rate * ((1 + rho) / 2)))
        return over_rate(gradient.copy_(velocity), rate)


@dataclass(frozen=True, kw_only=True)
class AccSGD(Elementwise):
    """AccSGD (Kidambi, Netrapalli, Jain, Kakade 2018, On the insufficiency of existing momentum schemes).

        β = ξc²/κ     a ← (1−β)a + β(w − (κη/c)g)     w ← ζ(w − ηg) + (1−ζ)a,   ζ = c/(c + β)

    a starts at w. kappa κ >= 1: how much longer the long steps are; xi ξ <= √κ: the statistical advantage;
    constant c. The member's momentum is not used. One number per weight: "away" (a − w).
    """

    name: ClassVar[str] = "accsgd"
    rate_scale: ClassVar[float] = 20.0
    kept: ClassVar[tuple[str, ...]] = ("away",)
    positive: ClassVar[tuple[str, ...]] = ("kappa", "xi")

    kappa: float = 1000.0
    xi: float = 10.0
    constant: float = 0.7

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.constant < 1:
            raise InputError(f"constant is {self.constant}; expected a number in (0, 1).")
        if not self.xi * self.constant**2 / self.kappa <= 1:
            raise InputError(f"xi is {self.xi}, kappa {self.kappa}; expected xi·constant² <= kappa.")

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        beta = self.xi * self.constant**2 / self.kappa
        short = self.constant / (self.constant + beta)
        gradient.mul_(rate)
        away = state["away"].mul_(1 - beta).sub_(gradient, alpha=beta * self.kappa / self.constant)
        change = gradient.mul_(-short).add_(away, alpha=1 - short)
        away.sub_(change)
        return over_rate(change, rate)


@dataclass(frozen=True, kw_only=True)
class PNM(Elementwise):
    """PNM (Xie, Yuan, Zhu, Sugiyama 2021, Positive-negative momentum, arXiv 2103.17182): two momenta, one subtracted.

        m ← γ²m + (1−γ²)g for the one whose turn it is     w ← w − η((1+β)m − βm')/√((1+β)² + β²)

    Odd and even steps take turns; m' is the other one. This raises the gradient's noise, not the gradient. beta β;
    γ is the member's momentum. Two numbers per weight: "odd", "even".
    """

    name: ClassVar[str] = "pnm"
    rate_scale: ClassVar[float] = 50.0
    kept: ClassVar[tuple[str, ...]] = ("odd", "even")
    not_negative: ClassVar[tuple[str, ...]] = ("beta",)

    decay: str = "decoupled"
    beta: float = 1.0

    def update(self, gradient: Weights, state: State, *, step: int, rate: Each, momentum: Each) -> Weights:
        mine, other = (state["odd"], state["even"]) if step % 2 else (state["even"], state["odd"])
        mine.lerp_(gradient, 1 - momentum * momentum)
        return positive_negative(mine, other, self.beta)


def positive_negative(mine: Weights, other: Weights, beta: float) -> Weights:
    """−((1+β)mine − β·other)/√((1+β)² + β²), a new tensor: noise as if from one gradient."""
    size = ((1 + beta) ** 2 + beta**2) ** 0.5
    return mine.mul(-(1 + beta) / size).add_(other, alpha=beta / size)
