"""The grid of settings, and how it grows when its best value lies on its edge."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product

from tutti.core import InputError, Setting

HIGHEST_RATE = 3e-2
GROWTH_ROUNDS = 2  # how often a grid may grow along one axis on one side


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Learning rates × weight decays around a base setting (which gives every other hyper-parameter).

    Both axes are sorted. Values are expected on a geometric scale; 0 is a natural end of the weight decays,
    no edge.
    """

    learning_rates: tuple[float, ...]
    weight_decays: tuple[float, ...]
    base: Setting = field(default_factory=Setting)

    def __post_init__(self) -> None:
        for name in ("learning_rates", "weight_decays"):
            values = getattr(self, name)
            if not values:
                raise InputError(f"The grid has no {name.replace('_', ' ')}.")
            object.__setattr__(self, name, tuple(sorted(set(values))))

    def settings(self) -> list[Setting]:
        """Every combination, rates outermost."""
        pairs = product(self.learning_rates, self.weight_decays)
        return [replace(self.base, learning_rate=r, weight_decay=d) for r, d in pairs]

    def middle(self) -> "Grid":
        """The grid of its middle setting alone."""
        rates, decays = self.learning_rates, self.weight_decays
        return replace(
            self,
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
            values = sorted({float(getattr(s, axis)) for s in tried})
            beyond = _beyond(values, getattr(best, axis), len(values) - len(initial))
            if beyond is not None:
                new.append(replace(best, **{axis: beyond}))
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


def default_grid(settings: int, base: Setting) -> Grid:
    """A grid of about this many settings: geometric learning rates, and weight decays.

    32 → 8 rates from 3e-4 to 3e-2 × decays 0, 0.01, 0.1, 1; 8 → 4 rates from 2e-3 to 3e-2 × decays 0 and 0.1;
    3 → 3 rates over the same, with decay 0.1: where settings are few the rates stand where the best ones lay on
    the develop half of the shared tables.
    """
    decays: tuple[float, ...] = (0.1,)
    count, low = 3, 2e-3
    if settings >= 32:
        count, low, decays = 8, 3e-4, (0.0, 0.01, 0.1, 1.0)
    elif settings >= 8:
        count, low, decays = 4, 2e-3, (0.0, 0.1)
    rates = [float(f"{low * (HIGHEST_RATE / low) ** (i / (count - 1)):.3g}") for i in range(count)]
    return Grid(learning_rates=tuple(rates), weight_decays=decays, base=base)
