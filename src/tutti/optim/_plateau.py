"""Cutting the rate when the score stops improving: a decision made from outside, from the scores so far."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import ClassVar

from tutti.core import Config, InputError
from tutti.optim._rule import check_positive


@dataclass(frozen=True, kw_only=True)
class Plateau(Config):
    """The multiplier of the rate that follows from a history of scores; equal to torch's ReduceLROnPlateau.

    After more than `patience` scores in a row that are not better than the best, the rate is multiplied by `cut`
    (in (0, 1)), never below `floor` times its start; then `cooldown` scores are not counted. Better means: below
    best·(1 − threshold), or above best·(1 + threshold) where higher_is_better; with relative=False below
    best − threshold or above best + threshold. A NaN is never better. As in torch a relative threshold makes no
    sense for negative scores. (torch ignores cuts of the rate below 1e-8; we do not.)
    """

    name: ClassVar[str] = "plateau"
    cut: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    relative: bool = True
    cooldown: int = 0
    floor: float = 0.0
    higher_is_better: bool = False

    def __post_init__(self) -> None:
        check_positive("cut", self.cut)
        if not self.cut < 1:
            raise InputError(f"cut is {self.cut}; expected a number in (0, 1).")
        for name in ("patience", "threshold", "cooldown", "floor"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} is {getattr(self, name)}; expected a number of at least 0.")

    def factor(self, scores: Sequence[float]) -> float:
        """The multiplier after these scores, 1 before any. Depends on nothing else: it can be replayed."""
        factor, best, bad, resting = 1.0, None, 0, 0
        for score in scores:
            if self._better(score, best):
                best, bad = score, 0
            else:
                bad += 1
            if resting:
                resting, bad = resting - 1, 0
            if bad > self.patience:
                factor, bad, resting = max(factor * self.cut, self.floor), 0, self.cooldown
        return factor

    def _better(self, score: float, best: float | None) -> bool:
        sign = 1 if self.higher_is_better else -1
        if best is None:
            return sign * score > -inf
        margin = best * self.threshold if self.relative else self.threshold
        return sign * score > sign * best + margin
