"""One class per row, of two or of more; and the weights that make classes count alike."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from tutti.core import InputError
from tutti.tasks._losses import CLASS_LOSSES, binary_loss, classes_first, constant, multiclass_loss
from tutti.tasks._task import Base, check_loss, check_weights
from tutti.tasks._values import MEANINGS, codes, targets

Some = TypeVar("Some", bound="_Classes")


def class_weights(target: Int[np.ndarray, " rows"], classes: int) -> tuple[float, ...]:
    """n/(K·n_c) for each class c: every class has the same total weight, and the mean over rows is 1.

    As scikit-learn's "balanced" (King and Zeng 2001); a class without rows gets 0.
    """
    counts = np.bincount(target, minlength=classes)
    return tuple(float(len(target) / (classes * count)) if count else 0.0 for count in counts)


@dataclass(frozen=True, kw_only=True)
class _Classes(Base):
    """What binary and multiclass tasks share.

    classes: names in the order of their numbers, sorted as numpy.unique sorts the raw values. meaning: what the
    raw values were ("text", "integer", "number", "boolean"), so that `labels` can give such values back.
    class_weights: one factor of the loss per class, None for 1. loss_name: "cross_entropy", "hinge" or
    "perceptron" (max(0, −y·f), whose full-batch gradient step is the batch perceptron rule). After a margin loss
    the probabilities are not calibrated, only their order means something.
    """

    classes: tuple[str, ...]
    meaning: str = "text"
    class_weights: tuple[float, ...] | None = None
    loss_name: str = "cross_entropy"

    def __post_init__(self) -> None:
        check_loss(self.loss_name, CLASS_LOSSES)
        check_weights(self.class_weights, len(self.classes), "class_weights")
        if len(self.names) != 1:
            raise InputError(f"A {self.name} task has one target column, not {len(self.names)}.")
        if len(set(self.classes)) != len(self.classes):
            raise InputError(f"Two classes of target {self.names[0]!r} have the same name.")
        if self.meaning not in MEANINGS:
            raise InputError(f"meaning is {self.meaning!r}; expected one of {', '.join(MEANINGS)}.")

    def encode(self, values: Any) -> Int[np.ndarray, " rows"]:
        return codes(targets(values, self.names)[0], self.classes, self.meaning)

    def balanced(self: Some, target: Int[np.ndarray, " rows"]) -> Some:
        """This task with the class weights of these (training) rows."""
        return replace(self, class_weights=class_weights(target, len(self.classes)))

    def labels(self, prediction: Float[np.ndarray, "rows classes"]) -> Shaped[np.ndarray, " rows"]:
        """The likeliest class of each row (the first of equals), as a raw value: text, int, float or bool."""
        return np.asarray(self._raw()[prediction.argmax(axis=1)])

    def _raw(self) -> Shaped[np.ndarray, " classes"]:
        if self.meaning == "boolean":
            return np.array([name == "True" for name in self.classes])
        if self.meaning == "text":
            return np.array(self.classes, dtype=object)
        return np.array([int(name) if self.meaning == "integer" else float(name) for name in self.classes])

    def trivial(self, target: Int[np.ndarray, " rows"]) -> Float[np.ndarray, " classes"]:
        """The class frequencies."""
        return np.bincount(target, minlength=len(self.classes)) / len(target)

    def counts(self, target: Int[np.ndarray, " rows"]) -> dict[str, int]:
        """Rows of each class."""
        counts = np.bincount(target, minlength=len(self.classes))
        return {name: int(count) for name, count in zip(self.classes, counts, strict=True)}


@dataclass(frozen=True, kw_only=True)
class Binary(_Classes):
    """Two classes from one output x, the log-odds of the second: p = 1/(1 + e⁻ˣ)."""

    name: ClassVar[str] = "binary"
    default_metric: ClassVar[str] = "accuracy"
    outputs: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.classes) != 2:
            raise InputError(f"A binary task has 2 classes, not {len(self.classes)}.")

    def loss(
        self,
        output: Float[Tensor, "*member batch 1"],
        target: Int[Tensor, "*member batch"],
        label_smoothing: Float[Tensor, "*member"] | None = None,
    ) -> Float[Tensor, "*member batch"]:
        score = output.squeeze(-1)
        weights = None
        if self.class_weights is not None:
            first, second = constant(self.class_weights, score.dtype, score.device)
            weights = first, second
        smoothing = None if label_smoothing is None else label_smoothing[..., None]
        return binary_loss(score, target, self.loss_name, weights, smoothing)

    def predict(self, output: Float[Tensor, "*member batch 1"]) -> Float[Tensor, "*member batch 2"]:
        return torch.cat([-output, output], dim=-1).sigmoid()


@dataclass(frozen=True, kw_only=True)
class Multiclass(_Classes):
    """K classes from K outputs f: p = softmax(f)."""

    name: ClassVar[str] = "multiclass"
    default_metric: ClassVar[str] = "accuracy"

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.classes) < 2:
            raise InputError(f"A multiclass task has at least 2 classes, not {len(self.classes)}.")

    @property
    def outputs(self) -> int:
        return len(self.classes)

    def loss(
        self,
        output: Float[Tensor, "*member batch classes"],
        target: Int[Tensor, "*member batch"],
        label_smoothing: Float[Tensor, "*member"] | None = None,
    ) -> Float[Tensor, "*member batch"]:
        weights = None
        if self.class_weights is not None:
            weights = constant(self.class_weights, output.dtype, output.device)
        return multiclass_loss(output, target, self.loss_name, weights, label_smoothing)

    def predict(self, output: Float[Tensor, "*member batch classes"]) -> Float[Tensor, "*member batch classes"]:
        if classes_first(output):
            return output.mT.softmax(-2).mT.contiguous()
        return output.softmax(-1)
