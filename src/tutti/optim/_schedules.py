"""How the rate changes over the steps: each schedule is a formula for the multipliers of the peak rate."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import ceil
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from tutti.core import Config, InputError
from tutti.optim._rule import check_fraction, check_positive


@dataclass(frozen=True, kw_only=True)
class Schedule(Config, ABC):
    """The rate of step t = 0 … T−1 is the member's peak rate times

        (floor + (1 − floor)·curve(t)) · min(1, (t + 1)/K).

    floor: where a curve that falls to 0 ends instead, as a fraction of the peak; in [0, 1]. warmup_steps: K; or
    warmup_fraction: K = ⌈fraction·T⌉; 0 is none. (The course counts steps from 1: min(1, t/K).) The warm-up
    multiplies the curve, it does not delay it.
    """

    floor: float = 0.0
    warmup_steps: int = 0
    warmup_fraction: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.floor <= 1:
            raise InputError(f"floor is {self.floor}; expected a number in [0, 1].")
        if self.warmup_steps < 0:
            raise InputError(f"warmup_steps is {self.warmup_steps}; expected a whole number of at least 0.")
        if not 0 <= self.warmup_fraction <= 1:
            raise InputError(f"warmup_fraction is {self.warmup_fraction}; expected a number in [0, 1].")
        if self.warmup_steps and self.warmup_fraction:
            raise InputError("Both warmup_steps and warmup_fraction are given.", fix="Give one of them.")

    @abstractmethod
    def curve(self, horizon: int) -> Float[np.ndarray, " step"]:
        """curve(t) for t = 0 … horizon−1, before floor and warm-up: in [0, 1]."""

    def factors(self, horizon: int) -> Float[np.ndarray, " step"]:
        """The multipliers of the peak rate for steps 0 … horizon−1, float64."""
        if horizon < 1:
            raise InputError(f"A schedule over {horizon} steps; expected at least 1.")
        values = self.floor + (1 - self.floor) * self.curve(horizon)
        warmup = self.warmup_steps or ceil(self.warmup_fraction * horizon)
        if warmup:
            values *= np.minimum(1.0, np.arange(1, horizon + 1) / warmup)
        return values


@dataclass(frozen=True, kw_only=True)
class Constant(Schedule):
    """curve(t) = 1."""

    name: ClassVar[str] = "constant"

    def curve(self, horizon: int) -> Float[np.ndarray, " step"]:
        return np.ones(horizon)


@dataclass(frozen=True, kw_only=True)
class Exponential(Schedule):
    """curve(t) = γᵗ. gamma γ in (0, 1] is the factor of one step; None: 0.01^(1/T), so that curve(T) = 0.01.

    torch's ExponentialLR (floor 0).
    """

    name: ClassVar[str] = "exponential"
    gamma: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gamma is not None and not 0 < self.gamma <= 1:
            raise InputError(f"gamma is {self.gamma}; expected a number in (0, 1].")

    def curve(self, horizon: int) -> Float[np.ndarray, " step"]:
        gamma = 0.01 ** (1 / horizon) if self.gamma is None else self.gamma
        return np.float64(gamma) ** np.arange(horizon)


@dataclass(frozen=True, kw_only=True)
class InverseTime(Schedule):
    """curve(t) = b/(b + t): a/(b + t) with a = peak rate · b, so that it starts at the peak (Robbins, Monro 1951).

    b > 0 is the step at which the rate has halved; None: T/9, so that curve(T) = 0.1.
    """

    name: ClassVar[str] = "inverse_time"
    b: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.b is not None:
            check_positive("b", self.b)

    def curve(self, horizon: int) -> Float[np.ndarray, " step"]:
        b = horizon / 9 if self.b is None else self.b
        return b / (b + np.arange(horizon))


@dataclass(frozen=True, kw_only=True)
class Linear(Schedule):
    """curve(t) = (T − t)/T. torch's LinearLR from 1 to floor in T steps."""

    name: ClassVar[str] = "linear"

    def curve(self, horizon: int) -> Float[np.ndarray, " step"]:
        return (horizon - np.arange(horizon)) / horizon


@dataclass(frozen=True, kw_only=True)
class CosineQuarter(Schedule):
    """curve(t) = cos(πt/2T): a quarter wave, which stays high for long and falls steeply at the end."""

    name: ClassVar[str] = "cosine_quarter"

    def curve(self, horizon: int) -> Float[np.ndarray, " step"]:
        return np.cos(np.pi / 2 * np.arange(horizon) / horizon)


@dataclass(frozen=True, kw_only=True)
class Cosine(Schedule):
    """curve(t) = (1 + cos(πt/T))/2: a half wave (Loshchilov and Hutter 2017). torch's CosineAnnealingLR."""

    name: ClassVar[str] = "cosine"

    def curve(self, horizon: int) -> Float[np.ndarray, " step"]:
        return (1 + np.cos(np.pi * np.arange(horizon) / horizon)) / 2


@dataclass(frozen=True, kw_only=True)
class WarmRestarts(Schedule):
    """SGDR (Loshchilov and Hutter 2017): half waves (1 + cos(πs/S))/2, each starting at the peak again.

    The first cycle has `period` steps, each next one `growth` times as many. period None: as many as let `cycles`
    whole cycles fill the horizon, rounded up. torch's CosineAnnealingWarmRestarts.
    """

    name: ClassVar[str] = "warm_restarts"
    period: int | None = None
    cycles: int = 3
    growth: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("period", "cycles", "growth"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}; expected a whole number of at least 1.")

    def curve(self, horizon: int) -> Float[np.ndarray, " step"]:
        length = self.period or ceil(horizon / sum(self.growth**i for i in range(self.cycles)))
        waves = []
        filled = 0
        while filled < horizon:
            waves.append((1 + np.cos(np.pi * np.arange(min(length, horizon - filled)) / length)) / 2)
            filled += length
            length *= self.growth
        return np.concatenate(waves)


@dataclass(frozen=True, kw_only=True)
class OneCycle(Schedule):
    """One rise and one fall along half waves (Smith and Topin 2018).

    From `start` at t = 0 up to 1 at t = rise·T − 1, down to 0 at t = T − 1. torch's OneCycleLR, whose end
    1/(div_factor·final_div_factor) is our floor. Has its own warm-up; the general one would multiply it.
    """

    name: ClassVar[str] = "one_cycle"
    start: float = 0.04
    rise: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("start", self.start)
        check_fraction("rise", self.rise)

    def curve(self, horizon: int) -> Float[np.ndarray, " step"]:
        t = np.arange(horizon)
        top = max(self.rise * horizon - 1, 0.0)
        up = np.clip(t / top, 0, 1) if top else np.ones(horizon)
        down = np.clip((t - top) / (horizon - 1 - top), 0, 1) if horizon - 1 > top else np.zeros(horizon)
        rising = self.start + (1 - self.start) * (1 - np.cos(np.pi * up)) / 2
        return np.where(t <= top, rising, (1 + np.cos(np.pi * down)) / 2)
