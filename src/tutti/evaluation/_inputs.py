"""What baselines learn from: features, and the learners that are tuned on them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

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
