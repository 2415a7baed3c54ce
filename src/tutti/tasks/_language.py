"""A language model: every next token of a window of text."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int, Num
from torch import Tensor

from tutti.core import InputError
from tutti.tasks._task import Base


@dataclass(frozen=True, kw_only=True)
class Language(Base):
    """Predicts each of the last `length` tokens of a window from those before it in the window.

    The network is given the whole window and itself says how surprised it was: its output [*member, batch, length]
    is −ln p(token) for each of them. So what a task handles does not grow with the vocabulary.
    Loss of a sample: the mean over its tokens; there is nothing to smooth. Predictions are the outputs. Encoded
    target: the windows, int32 [rows, length + 1].
    """

    name: ClassVar[str] = "language"
    default_metric: ClassVar[str] = "perplexity"
    classes: ClassVar[tuple[str, ...]] = ()

    length: int

    def __post_init__(self) -> None:
        if self.length < 1:
            raise InputError(f"The length is {self.length}; expected at least 1 token.")

    @property
    def outputs(self) -> int:
        return self.length

    def encode(self, values: Any) -> Int[np.ndarray, "rows time"]:
        """The windows as they are; those that lie over each other are not copied."""
        windows = np.asarray(values)
        if windows.ndim != 2 or windows.shape[1] != self.length + 1 or windows.dtype.kind not in "iu":
            raise InputError(
                f"The windows have shape {list(windows.shape)}; expected {self.length + 1} tokens in a row."
            )
        return windows.astype(np.int32, copy=False)

    def loss(
        self,
        output: Float[Tensor, "*member batch out"],
        target: Int[Tensor, "*member batch time"],
        label_smoothing: Float[Tensor, "*member"] | None = None,
    ) -> Float[Tensor, "*member batch"]:
        return output.mean(-1)

    def predict(self, output: Float[Tensor, "*member batch out"]) -> Float[Tensor, "*member batch out"]:
        return output

    def labels(self, prediction: Float[np.ndarray, "rows out"]) -> Float[np.ndarray, " rows"]:
        """The mean surprise of each window, in nats a token."""
        return np.asarray(prediction.mean(1))

    def trivial(self, target: Num[np.ndarray, "rows time"]) -> Float[np.ndarray, " tokens"]:
        """How often each token occurs among the first ones of the windows, as shares; every token that may occur
        counts once more (Laplace)."""
        return token_shares(target)

    def counts(self, target: Num[np.ndarray, "rows time"]) -> dict[str, int]:
        """Nothing: there are as many classes as tokens."""
        return {}


def pooled(surprises: Float[np.ndarray, "networks rows out"]) -> Float[np.ndarray, "rows out"]:
    """The surprise of an ensemble, whose probability is the mean over its networks: −ln mean exp(−surprise)."""
    least = surprises.min(0)
    return np.asarray(least - np.log(np.exp(least - surprises).mean(0)))


def token_shares(windows: Num[np.ndarray, "rows time"], tokens: int | None = None) -> Float[np.ndarray, " tokens"]:
    """Shares of the tokens among the first ones of these windows, each counted once more than it occurs."""
    counts = np.bincount(windows[:, 0], minlength=tokens or int(windows.max()) + 1) + 1.0
    return np.asarray(counts / counts.sum())
