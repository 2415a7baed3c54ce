"""What an expert would try first on texts: TF-IDF of words and pairs of words, and a linear model."""

# mypy: disable-error-code="no-untyped-call"

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Int

from tutti.core import Splits
from tutti.data import Texts
from tutti.evaluation._inputs import Inputs
from tutti.evaluation._learners import Model, Setting
from tutti.evaluation._problem import Problem

WORDS, CHARACTERS = 2, 4  # the longest run: of words, or of characters where texts are single words
MANY = 1_000  # training rows from which a run must occur in two of them


def inputs(sample: Texts, splits: Splits) -> Inputs:
    """The numbers of the rows, as texts are no numbers, and the learner that looks them up."""
    counted = Counted(sample)

    def learner(problem: Problem) -> Runs:
        return Runs(problem, counted)

    rows = np.arange(len(sample), dtype=np.float32)[:, None]
    return Inputs(numbers=rows, codes=np.zeros((len(sample), 0), np.int64), learners=(learner,))


class Counted:
    """How often each run of parts occurs in each text: [rows, run], sparse. Which runs there are is all that the
    rows have in common here; nothing is fitted.

    Parts are words and signs (`data.Texts`), in runs of 1 and 2; characters in runs of 1 to 4, where most texts are
    of one or two words. Runs that one text alone has are left out where texts are many: no other row can use them.
    """

    def __init__(self, sample: Texts) -> None:
        from scipy.sparse import csr_array

        single = sample.corpus.single
        split = sample.corpus.characters if single else sample.corpus.words
        parts, levels = split.parts, len(split.levels)
        owner, run = parts.rows, parts.values.astype(np.int64)
        columns, rows, width = [run], [owner], levels
        for length in range(2, (CHARACTERS if single else WORDS) + 1):
            count = max(0, len(parts.values) - length + 1)
            inside = parts.rows[:count] == parts.rows[length - 1 :][:count]
            _, run = np.unique(run[:count] * levels + parts.values[length - 1 :][:count], return_inverse=True)
            columns.append(run[inside] + width)
            rows.append(owner[:count][inside])
            width += int(run.max(initial=-1)) + 1
        place, column = np.concatenate(rows), np.concatenate(columns)
        pairs, times = np.unique(place * width + column, return_counts=True)
        place, column = np.divmod(pairs, max(1, width))
        holders = np.bincount(column, minlength=width)
        kept = holders[column] >= (2 if len(sample) >= MANY else 1)
        number = np.cumsum(holders >= (2 if len(sample) >= MANY else 1)) - 1
        shape = (len(sample), int(number[-1]) + 1 if len(number) else 0)
        self.table = csr_array((times[kept].astype(np.float64), (place[kept], number[column[kept]])), shape=shape)


class Weighted:
    """TF-IDF fitted on some rows: (1 + ln times) · (ln((1 + n) / (1 + d)) + 1), each text's vector of length 1.

    d of the n texts hold the run (Salton & Buckley 1988, with scikit-learn's smoothing); runs in fewer than two of
    them (one, where they are fewer than 1,000) count for nothing.
    """

    def __init__(self, counted: Counted, rows: Int[np.ndarray, " train"]) -> None:
        self.table = counted.table
        holders = np.bincount(self.table[rows].indices, minlength=self.table.shape[1])
        self.kept = np.flatnonzero(holders >= (2 if len(rows) >= MANY else 1))
        self.rarity = np.log((1 + len(rows)) / (1 + holders[self.kept])) + 1

    def transform(self, numbers: np.ndarray) -> Any:
        """For a table whose first column is the numbers of rows."""
        from sklearn.preprocessing import normalize

        chosen = self.table[numbers[:, 0].astype(np.int64)][:, self.kept]
        chosen.data = (1 + np.log(chosen.data)) * self.rarity[chosen.indices]
        return normalize(chosen, copy=False)


class Runs:
    """TF-IDF (`Weighted`) and a linear model: logistic regression over C, ridge over alpha."""

    name = "TF-IDF linear"
    chunk = most = 1

    def __init__(self, problem: Problem, counted: Counted) -> None:
        self.problem, self.counted = problem, counted
        if problem.kind == "regression":
            self.axes: Mapping[str, tuple[float | int, ...]] = {"alpha": (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)}
            self.start: Setting = {"alpha": 1.0}
        else:
            self.axes = {"C": (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)}
            self.start = {"C": 10.0}
        self.quick: Setting = self.start
        self._prepared: dict[bytes, tuple[Weighted, Any]] = {}

    def cost(self, setting: Setting) -> float:
        """What a fit takes, relative to the other settings: weak penalties settle later."""
        return float(setting["C"] ** 0.25) if "C" in setting else 1.0

    def begin(self, setting: Setting, rows: np.ndarray) -> Model:
        key = rows.tobytes()
        if key not in self._prepared:
            steps = Weighted(self.counted, rows)
            self._prepared = {key: (steps, steps.transform(rows[:, None]))}
        return Model(self.problem, rows, *self._prepared[key], lambda: self._estimator(setting))

    def _estimator(self, setting: Setting) -> Any:
        from sklearn.linear_model import LogisticRegression, Ridge

        if self.problem.kind == "regression":
            return Ridge(alpha=setting["alpha"])
        return LogisticRegression(C=setting["C"], max_iter=200)
