"""The grid of settings, and how it grows when its best value lies on its edge."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product

from tutti.core import InputError, Setting

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


def default_grid(settings: int, base: Setting, *, rates: tuple[float, float] = (3e-4, 3e-2)) -> Grid:
    """A grid of about this many settings: geometric rates between `rates`, and decays among 0, 0.01, 0.1, 1.

    32 → 8 rates × 4 decays; 8 → 4 × 2; 3 → 3 rates × 1; 1 → the geometric mean of the rates.
    """
    low, high = rates
    decays: tuple[float, ...]
    if settings >= 32:
        count, decays = 8, (0.0, 0.01, 0.1, 1.0)
    elif settings >= 8:
        count, decays = 4, (0.0, 0.1)
    else:
        count, decays = max(1, settings), (base.weight_decay,)
    if count == 1:
        return Grid(learning_rates=((low * high) ** 0.5,), weight_decays=decays, base=base)
    steps = [float(f"{low * (high / low) ** (i / (count - 1)):.3g}") for i in range(count)]
    return Grid(learning_rates=tuple(steps), weight_decays=decays, base=base)
