"""Baselines of language models: how often each token occurs, and Kneser–Ney over runs of tokens."""

from collections.abc import Mapping

import numpy as np

from tutti.core import Splits
from tutti.data import Prose
from tutti.evaluation._inputs import Inputs
from tutti.evaluation._kneser_ney import KneserNey
from tutti.evaluation._learners import Setting
from tutti.evaluation._problem import Problem

ORDERS = {"character": (3, 4, 5, 6, 7, 8), "other": (2, 3, 4, 5)}
_AT_ONCE = 4096  # windows


def inputs(prose: Prose, splits: Splits) -> Inputs:
    """A learner that holds the text itself; the table has no features. (The trivial baseline is the unigram.)"""
    return Inputs(
        numbers=np.zeros((len(prose), 0), np.float32),
        codes=np.zeros((len(prose), 0), np.int64),
        learners=(lambda problem: NGrams(prose, problem),),
    )


class NGrams:
    """Kneser–Ney; its order is tuned. All orders are counted at once."""

    name = "n-grams"
    chunk = most = 1

    def __init__(self, prose: Prose, problem: Problem) -> None:
        self.prose = prose
        orders = ORDERS.get(prose.tokeniser.unit, ORDERS["other"])
        self.axes: Mapping[str, tuple[float | int, ...]] = {"order": orders}
        self.start: Setting = {"order": orders[len(orders) // 2]}
        self.quick: Setting = {"order": orders[1]}
        self._counted: dict[bytes, KneserNey] = {}

    def cost(self, setting: Setting) -> float:
        return float(setting["order"])

    def begin(self, setting: Setting, rows: np.ndarray) -> "_Counted":
        key = rows.tobytes()
        if key not in self._counted:
            stretches = self.prose.covered(rows)
            most = int(max(self.axes["order"]))
            self._counted = {key: KneserNey(stretches, self.prose.tokeniser.size, most)}
        return _Counted(self.prose, self._counted[key], int(setting["order"]))


class _Counted:
    def __init__(self, prose: Prose, model: KneserNey, order: int) -> None:
        self.prose, self.model, self.order = prose, model, order
        self.notes: set[str] = set()

    def grow(self, iterations: int) -> None:
        """It is counted at once."""

    def predict(self, rows: np.ndarray, iterations: int | None = None) -> np.ndarray:
        """−ln p of each token of these windows but the first [rows, length], float32."""
        parts = [
            self.model.surprises(self.prose.take(rows[first : first + _AT_ONCE]).windows, self.order)
            for first in range(0, max(1, len(rows)), _AT_ONCE)
        ]
        return np.concatenate(parts).astype(np.float32)
