"""The grid of settings, and how it grows when its best value lies on its edge."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from tutti.core import InputError, Setting

HIGHEST_RATE = 3e-2
GROWTH_ROUNDS = 2  # how often a grid may grow along one axis on one side


@dataclass(frozen=True, kw_only=True)
class Scale:
    """What an optimizer makes of the axes: by how much its rates and its decays are multiplied."""

    optimizer: str = ""
    rate: float = 1.0
    decay: float = 1.0

    def of(self, base: Setting, rate: float, decay: float) -> Setting:
        """A point of the grid, to three digits where it is scaled."""
        values = ((rate, self.rate), (decay, self.decay))
        rate, decay = (v if by == 1.0 else float(f"{v * by:.3g}") for v, by in values)
        return replace(base, learning_rate=rate, weight_decay=decay, optimizer=self.optimizer)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Learning rates × weight decays around base settings (which give every other hyper-parameter).

    Both axes are sorted. Values are expected on a geometric scale; 0 is a natural end of the weight decays,
    no edge. bases: one, or alternatives that are tried against each other (with augmentation and without), the
    likeliest first. scales: one for each optimizer of the population; each has the whole grid, scaled.
    """

    learning_rates: tuple[float, ...]
    weight_decays: tuple[float, ...]
    bases: tuple[Setting, ...] = (Setting(),)
    scales: tuple[Scale, ...] = (Scale(),)

    def __post_init__(self) -> None:
        for name in ("learning_rates", "weight_decays"):
            values = getattr(self, name)
            if not values:
                raise InputError(f"The grid has no {name.replace('_', ' ')}.")
            object.__setattr__(self, name, tuple(sorted(set(values))))

    def settings(self) -> list[Setting]:
        """Every combination, optimizers outermost, then bases, then rates."""
        every = product(self.scales, self.bases, self.learning_rates, self.weight_decays)
        return [scale.of(base, rate, decay) for scale, base, rate, decay in every]

    @classmethod
    def around(cls, settings: Sequence[Setting]) -> "Grid":
        """The grid that such settings came from: its axes are those of the first optimizer among them."""
        axes: dict[str, tuple[set[float], set[float]]] = {}
        for setting in settings:
            rates, decays = axes.setdefault(setting.optimizer, (set(), set()))
            rates.add(setting.learning_rate)
            decays.add(setting.weight_decay)
        rates, decays = next(iter(axes.values()))
        scales = [
            Scale(
                optimizer=name,
                rate=max(own) / max(rates),
                decay=max(own_decays) / max(decays) if max(decays) else 1.0,
            )
            for name, (own, own_decays) in axes.items()
        ]
        first = next(iter(axes))
        plain = [
            replace(s, learning_rate=1e-3, weight_decay=0.0, optimizer="") for s in settings if s.optimizer == first
        ]
        return cls(
            learning_rates=tuple(rates),
            weight_decays=tuple(decays),
            bases=tuple(dict.fromkeys(plain)),
            scales=tuple(scales),
        )

    def middle(self) -> "Grid":
        """The grid of its middle setting alone (one for each optimizer), on the likeliest base."""
        rates, decays = self.learning_rates, self.weight_decays
        return replace(
            self,
            bases=self.bases[:1],
            learning_rates=(rates[len(rates) // 2],),
            weight_decays=(decays[len(decays) // 2],),
        )

    def grow(self, best: Setting, tried: Sequence[Setting]) -> list[Setting]:
        """New settings beyond the edge on which `best` lies, or none.

        A step beyond the last rate (or decay) repeats the ratio of the last two values (3 where there is but
        one). Only the neighbour of the best setting is added on each side, so growing costs one setting a
        round.
        """
        new = []
        for axis in ("learning_rate", "weight_decay"):
            initial = self.learning_rates if axis == "learning_rate" else self.weight_decays
            if len(initial) == 1:
                continue
            values = sorted({float(getattr(s, axis)) for s in tried if s.optimizer == best.optimizer})
            beyond = _beyond(values, getattr(best, axis), len(values) - len(initial))
            if beyond is not None:
                changed: dict[str, Any] = {axis: beyond}
                new.append(replace(best, **changed))
        return [s for s in new if s not in tried]


def _beyond(values: list[float], best: float, grown: int) -> float | None:
    """The next value outside `values` where `best` is one of its ends, or None."""
    if grown >= 2 * GROWTH_ROUNDS or not values:
        return None
    if best == values[-1]:
        ratio = best / values[-2] if len(values) > 1 and values[-2] > 0 else 3.0
        return best * ratio
    if best == values[0] and best > 0:
        return best / (values[1] / best)
    return None


def default_grid(settings: int, base: Setting, *, rate: float | None = None, others: Sequence[Setting] = ()) -> Grid:
    """A grid of about this many settings: geometric learning rates, and weight decays.

    rate: a sound learning rate for this kind of network; then rates stand within a factor of 10 around it (3 where
    they are few; it alone for one setting), on `base` and, where settings are eight or more, on the `others`, with
    the decays of the base.

    32 → 8 rates from 3e-4 to 3e-2 × decays 0, 0.01, 0.1, 1; 8 → 4 rates from 2e-3 to 3e-2 × decays 0 and 0.1;
    3 → 3 rates over the same, with decay 0.1: where settings are few the rates stand where the best ones lay on
    the develop half of the shared tables.
    """
    if rate is not None:
        return _known_grid(settings, base, rate, others)
    decays: tuple[float, ...] = (0.1,)
    count, low = 3, 2e-3
    if settings >= 32:
        count, low, decays = 8, 3e-4, (0.0, 0.01, 0.1, 1.0)
    elif settings >= 8:
        count, low, decays = 4, 2e-3, (0.0, 0.1)
    rates = [float(f"{low * (HIGHEST_RATE / low) ** (i / (count - 1)):.3g}") for i in range(count)]
    return Grid(learning_rates=tuple(rates), weight_decays=decays, bases=(base,))


def _known_grid(settings: int, base: Setting, rate: float, others: Sequence[Setting]) -> Grid:
    """Rates around a sound one."""
    bases = (base, *others) if settings >= 8 else (base,)
    count = max(1, min(5, settings // len(bases)))
    count -= count % 2 == 0  # the sound rate is one of them
    factor = 10.0 if count >= 5 else 3.0
    half = count // 2
    rates = [float(f"{rate * factor ** (i / half):.3g}") if half else rate for i in range(-half, half + 1)]
    return Grid(learning_rates=tuple(rates), weight_decays=(base.weight_decay,), bases=bases)
