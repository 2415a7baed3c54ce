"""scikit-learn estimators on the same way: nothing held out, nothing written, `score_` from out-of-fold rows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from tutti.core import InputError, Observer
from tutti.data import read
from tutti.learn._declare import declare_table
from tutti.learn._fit import train_and_judge
from tutti.learn._model import Model
from tutti.learn._options import Options
from tutti.learn._progress import Clock


class _TuttiEstimator(BaseEstimator):
    """What both estimators share. Parameters mean what they mean in `tutti.fit`."""

    def __init__(
        self,
        *,
        model: Any = None,
        optimizer: Any = None,
        schedule: Any = None,
        learning_rates: Sequence[float] | float | None = None,
        weight_decays: Sequence[float] | float | None = None,
        setting: Mapping[str, float] | None = None,
        epochs: float | None = None,
        batch_size: int | None = None,
        folds: int = 5,
        metric: str | None = None,
        class_weight: str | None = None,
        refit: bool | None = None,
        rungs: bool = True,
        baselines: bool = False,
        budget: float | str | None = None,
        device: str | None = None,
        random_state: Any = None,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.schedule = schedule
        self.learning_rates = learning_rates
        self.weight_decays = weight_decays
        self.setting = setting
        self.epochs = epochs
        self.batch_size = batch_size
        self.folds = folds
        self.metric = metric
        self.class_weight = class_weight
        self.refit = refit
        self.rungs = rungs
        self.baselines = baselines
        self.budget = budget
        self.device = device
        self.random_state = random_state

    def _fit(self, X: Any, y: Any, kind: str, sample_weight: Any, groups: Any) -> None:
        """Fits on validated features and an encoded target, and sets the fitted attributes."""
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        given = {name: getattr(self, name) for name in self.get_params(deep=False) if name != "random_state"}
        options = Options.of({**given, "task": kind, "seed": seed, "test_size": 0})
        table = read((X, y), kinds=_all_numbers(X), task_kind=kind)
        if sample_weight is not None:
            table = replace(table, weight=np.asarray(_check_sample_weight(sample_weight, table.numbers), np.float64))
        if groups is not None:
            table = replace(table, group=np.asarray(groups).astype(str).astype(object))
        observer = Observer()
        declared = declare_table(table, options, observer)
        clock = Clock(budget=options.seconds)
        self.model_: Model = train_and_judge(declared, options, clock, observer, None).model(options)
        self.score_ = self.model_.score_
        self.result_ = self.model_.result
        self.module_ = self.model_.module_

    def _features(self, X: Any, *, reset: bool, **checks: Any) -> Any:
        """X as numbers, checked as scikit-learn does; a frame with other columns goes to the reader as it is."""
        if _mixed(X):
            return validate_data(self, X, reset=reset, skip_check_array=True)
        return validate_data(
            self, X, reset=reset, ensure_all_finite="allow-nan", dtype=[np.float64, np.float32], **checks
        )

    def _raw(self, X: Any) -> Float[np.ndarray, "rows out"]:
        check_is_fitted(self)
        return self.model_.predict_raw(self._features(X, reset=False))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.required = True
        tags.non_deterministic = False
        return tags


class TuttiClassifier(ClassifierMixin, _TuttiEstimator):
    """A tuned, cross-validated network for classes, as a scikit-learn estimator.

    X: numbers (NaN is missing), or a frame with categories and dates. y: class labels of any type.
    Nothing is held out: `score_` is the cross-validated score, corrected for the optimism of the search.
    Attributes after fit: classes_, n_features_in_, score_, result_, model_, module_.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> "TuttiClassifier":
        """Tunes and fits. groups: entities that never stand on two sides of a fold."""
        X, y = self._features_and_target(X, y)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError(
                f"Classifier can't train when only one class is present: {self.classes_[0]!r}.",
                fix="Give rows of at least two classes.",
            )
        kind = "binary" if len(self.classes_) == 2 else "multiclass"
        self._fit(X, codes, kind, sample_weight, groups)
        return self

    def _features_and_target(self, X: Any, y: Any) -> tuple[Any, Any]:
        if y is None:
            raise InputError("requires y to be passed, but the target y is None.")
        X = self._features(X, reset=True, ensure_min_samples=2)
        y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
        return X, y

    def predict_proba(self, X: Any) -> Float[np.ndarray, "rows classes"]:
        """Class probabilities, columns in the order of `classes_`."""
        return self._raw(X).astype(np.float64)

    def predict(self, X: Any) -> Shaped[np.ndarray, " rows"]:
        """The most likely class of each row."""
        answers: np.ndarray = self.classes_[self._raw(X).argmax(axis=1)]
        return answers


class TuttiRegressor(RegressorMixin, _TuttiEstimator):
    """A tuned, cross-validated network for numbers, as a scikit-learn estimator; several outputs are allowed.

    As `TuttiClassifier`; `score_` is in the units of `metric` (RMSE by default).
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> "TuttiRegressor":
        """Tunes and fits. groups: entities that never stand on two sides of a fold."""
        if y is None:
            raise InputError("requires y to be passed, but the target y is None.")
        X = self._features(X, reset=True, ensure_min_samples=2)
        y = check_array(y, ensure_2d=False, dtype="numeric", input_name="y")
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
        self._fit(X, y.astype(np.float64), "regression", sample_weight, groups)
        return self

    def predict(self, X: Any) -> Float[np.ndarray, " rows ..."]:
        """The value(s) of each row."""
        raw = self._raw(X).astype(np.float64)
        return raw[:, 0] if raw.shape[1] == 1 else raw

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _mixed(X: Any) -> bool:
    """Whether X is a frame with columns that are not numbers."""
    types = getattr(X, "dtypes", None)
    if types is None or not hasattr(X, "columns"):
        return False
    return not all(str(t).lower().startswith(("int", "uint", "float", "bool")) for t in types)


def _all_numbers(X: Any) -> dict[str | int, str] | None:
    """Every column of a plain array is a number, whatever its values look like."""
    return {str(i): "number" for i in range(X.shape[1])} if isinstance(X, np.ndarray) else None
