"""From numbers to places on paper: linear scales with round ticks."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, log10

from tutti.report._numbers import Number


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A straight map from [low, high] to [start, end] on paper."""

    low: Number
    high: Number
    start: Number
    end: Number

    def __call__(self, value: Number) -> Number:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def clamp(self, value: Number) -> Number:
        """The place of `value`, held inside the scale."""
        return self(min(max(value, self.low), self.high))

    def ticks(self, most: int = 5) -> list[Number]:
        """Round numbers inside the scale: steps of 1, 2 or 5 times a power of ten, at most `most` of them."""
        step = round_step((self.high - self.low) / max(most, 1))
        first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
        return [k * step for k in range(first, last + 1)]

    def tick_places(self, most: int = 5) -> int:
        """The decimals that tell its ticks apart."""
        return max(0, -floor(log10(round_step((self.high - self.low) / max(most, 1))) + 1e-9))


def round_step(rough: Number) -> Number:
    """The smallest of 1, 2, 5 × 10^k that is at least `rough`."""
    power = 10.0 ** floor(log10(rough))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))


def spread(values: Iterable[Number], *, start: Number, end: Number, air: Number = 0.06) -> Scale:
    """A scale that holds all `values` with a little air on both sides; never empty."""
    found = list(values)
    low, high = min(found), max(found)
    if high - low < 1e-12 * max(abs(low), abs(high), 1e-12):
        room = abs(low) * 0.1 or 1.0
        low, high = low - room, high + room
    room = (high - low) * air
    return Scale(low=low - room, high=high + room, start=start, end=end)


def apart(places: list[Number], gap: Number, low: Number, high: Number) -> list[Number]:
    """Places of labels moved as little as needed so that neighbours are `gap` apart and within [low, high]."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    moved = list(places)
    for before, after in pairwise(order):
        moved[after] = max(moved[after], moved[before] + gap)
    over = max(0.0, moved[order[-1]] - high) if order else 0.0
    limit = high
    for i in reversed(order):
        moved[i] = max(min(moved[i], limit), low) if over else moved[i]
        limit = moved[i] - gap
    return moved
