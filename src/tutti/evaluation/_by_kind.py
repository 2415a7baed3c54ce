"""What the baselines of each kind of data learn from: an expert's features, and learners of their own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from tutti.core import Splits
from tutti.data import Table
from tutti.evaluation._learners import Learner, Linear, Trees
from tutti.evaluation._problem import Problem


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Features of all rows, none of them fitted, and the learners that are tuned on them.

    A learner that needs more than features (texts, edges, windows) holds them itself, and fits on the training rows
    that it is given.
    """

    numbers: Float[np.ndarray, "rows number"]
    codes: Int[np.ndarray, "rows category"]
    learners: Sequence[Callable[[Problem], Learner]] = (Linear, Trees)


BASELINES: dict[str, Callable[[Any, Splits], Inputs]] = {}
"""Kind of data -> (its data.Sample, the splits) -> inputs."""


def inputs_for(table: Table, splits: Splits) -> Inputs:
    """The baselines' inputs for a table of any kind of data; no learner where its kind has none."""
    if table.sample is None:
        return Inputs(numbers=table.numbers, codes=table.codes)
    if table.kind not in BASELINES:
        return Inputs(numbers=table.numbers, codes=table.codes, learners=())
    return BASELINES[table.kind](table.sample, splits)
