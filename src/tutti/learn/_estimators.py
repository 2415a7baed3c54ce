"""scikit-learn estimators on the same way: nothing held out, nothing written, `score_` from out-of-fold rows."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from numbers import Real
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import (
    _safe_indexing,
    assert_all_finite,
    check_array,
    check_consistent_length,
    check_random_state,
    column_or_1d,
)
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from tutti.core import Finding, InputError, Observer
from tutti.data import Table, encode, read
from tutti.learn._declare import Declared, declare_table
from tutti.learn._fit import train_and_judge
from tutti.learn._model import Model
from tutti.learn._options import Options
from tutti.learn._progress import Clock
from tutti.search import torch_threads

# dtypes of numbers, as pandas, polars and Arrow write them
NUMBER = re.compile(r"(u?int|float)\d+|bool(ean)?|halffloat|float|double", re.IGNORECASE)
Adjust = Callable[[Declared], Declared]
Function = TypeVar("Function", bound=Callable[..., Any])


def _unchecked(function: Function) -> Function:
    """Leaves a constructor out of the run-time type checks of our tests: parameters are checked in fit."""
    function.__no_type_check__ = True  # type: ignore[attr-defined]
    return function


class _TuttiEstimator(BaseEstimator):
    """What both estimators share. Parameters mean what they mean in `tutti.fit`.

    random_state: an integer gives the same predictions bit for bit, on one machine and device, whatever else the
    machine does. For that, what to train is chosen by counting operations, not by timing them, and training
    keeps to one thread (run several fits at a time by `n_jobs` of a search around it). A `budget` brings the
    clock back, and with it as many threads as pay.
    """

    @_unchecked
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
        kinds: Mapping[str | int, str] | None = None,
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
        self.kinds = kinds
        self.refit = refit
        self.rungs = rungs
        self.baselines = baselines
        self.budget = budget
        self.device = device
        self.random_state = random_state

    def _fit(
        self, X: Any, y: Any, kind: str, weight: Any, groups: Any, adjust: Adjust = lambda declared: declared
    ) -> None:
        """Fits on checked features and an encoded target, and sets the fitted attributes.

        weight: [rows] or None. adjust: has the last word on what was declared.
        """
        options = self._options(kind)
        table = self._table(X, y, kind)
        if groups is not None:
            table = replace(table, group=column_or_1d(np.asarray(groups)))
        table = replace(table, weight=weight)
        # a column is never set aside because it gives the target away: an estimator is told what to train on
        names = [*table.schema.numbers, *(c.name for c in table.schema.categories)]
        observer, clock = Observer(), Clock(budget=options.seconds)
        declared = adjust(declare_table(table, replace(options, keep=names), observer))
        timed = self.budget is not None
        with nullcontext() if timed else torch_threads(1):
            fitted = train_and_judge(declared, options, clock, observer, None, timed=timed)
        if fitted.outcome.search.interrupted:
            raise KeyboardInterrupt  # a search over estimators must end, not go on with half-trained ones
        self.model_: Model = fitted.model(options)
        self.score_ = self.model_.score_
        self.result_ = self.model_.result
        self.module_ = self.model_.module_

    def _options(self, kind: str) -> Options:
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        own = ("random_state", "class_weight")
        given = {name: getattr(self, name) for name in self.get_params(deep=False) if name not in own}
        return Options.of({**given, "task": kind, "seed": seed, "test_size": 0.0})

    def _table(self, X: Any, y: Any, kind: str) -> Table:
        """Every column of a plain array is a number, whatever its values look like, unless `kinds` says else."""
        plain: dict[str | int, str] = (
            {str(i): "number" for i in range(X.shape[1])} if isinstance(X, np.ndarray) else {}
        )
        named = {str(i) if plain else i: k for i, k in (self.kinds or {}).items()}
        table = read((X, y), kinds={**plain, **named}, task_kind=kind)
        _refuse_infinite(table.findings)
        return table

    def _features(self, X: Any, *, reset: bool, **checks: Any) -> Any:
        """X as numbers, checked as scikit-learn does; a frame with other columns goes to the reader as it is."""
        if hasattr(X, "columns") and (self.kinds or _mixed(X)):
            return validate_data(self, X, reset=reset, skip_check_array=True)
        with np.errstate(over="ignore"):  # float32, as networks see it: what it cannot hold is refused as infinite
            return validate_data(self, X, reset=reset, ensure_all_finite="allow-nan", dtype=np.float32, **checks)

    def _raw(self, X: Any) -> Float[np.ndarray, "rows out"]:
        check_is_fitted(self)
        table = encode(self.model_.schema, self._features(X, reset=False))
        _refuse_infinite(table.findings)
        return self.model_.predictor.predict(table.numbers, table.codes).astype(np.float64)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        parent: Any = super()
        tags = parent.__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.non_deterministic = self.budget is not None
        return tags


class TuttiClassifier(ClassifierMixin, _TuttiEstimator):
    """A tuned, cross-validated network for classes, as a scikit-learn estimator.

    X: numbers (NaN is missing), or a pandas or polars frame with categories, dates and gaps; categories that
    were not seen in fit count as unknown, infinite values raise. y: one label per row: numbers, strings, booleans;
    at least two classes with two rows each.
    class_weight: None, "balanced" (every class weighs the same), or {label: weight}, 1 where it names none.
    Other parameters: as in `tutti.fit`. `kinds` names columns of a frame, or numbers those of an array.

    Nothing is held out, and no column is set aside for giving the target away (`result_["findings"]` tells).

    Attributes after fit:
    classes_: the labels, sorted; the columns of `predict_proba`.
    score_: the *corrected out-of-fold score*: the cross-validated `metric` (accuracy by default) of the best
        setting, less the optimism of having chosen it as the best (Tsamardinos et al. 2018; see
        `tutti.evaluation.optimism`), with rows weighted as in fit. It is no score on the training rows, and not
        what `score(X, y)` computes. With a metric that is no mean over rows (auc, f1) or a single setting
        there is no correction.
    result_: all that is known, as `tutti fit --json` prints it, plus "details". model_: the `tutti` model.
    module_: the (first) network. n_features_in_, feature_names_in_.
    """

    @_unchecked
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
        class_weight: str | Mapping[Any, float] | None = None,
        kinds: Mapping[str | int, str] | None = None,
        refit: bool | None = None,
        rungs: bool = True,
        baselines: bool = False,
        budget: float | str | None = None,
        device: str | None = None,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            model=model,
            optimizer=optimizer,
            schedule=schedule,
            learning_rates=learning_rates,
            weight_decays=weight_decays,
            setting=setting,
            epochs=epochs,
            batch_size=batch_size,
            folds=folds,
            metric=metric,
            kinds=kinds,
            refit=refit,
            rungs=rungs,
            baselines=baselines,
            budget=budget,
            device=device,
            random_state=random_state,
        )
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> "TuttiClassifier":
        """Tunes and fits.

        sample_weight: one number >= 0 per row: its share in loss, choice and score; rows of weight 0 are left
        out. groups: entities that never stand on two sides of a fold.
        """
        X, y = _with_target(self._features(X, reset=True, ensure_min_samples=2), y)
        y = column_or_1d(y, warn=True)
        _refuse_gaps(y)
        check_classification_targets(y)
        X, y, weight, groups = _weighed(X, y, sample_weight, groups)
        self.classes_, codes = np.unique(y, return_inverse=True)
        self._refuse_few(np.bincount(codes))
        factors = self._factors(codes, weight)

        def adjust(declared: Declared) -> Declared:
            """Real labels in the place of their numbers, and the weights of the classes."""
            task: Any = declared.task
            weights = np.ones(len(codes)) if declared.weights is None else declared.weights
            return replace(
                declared,
                task=replace(task, classes=tuple(str(label) for label in self.classes_), meaning="text"),
                weights=declared.weights if factors is None else weights * factors[codes],
            )

        self._fit(X, codes, "binary" if len(self.classes_) == 2 else "multiclass", weight, groups, adjust)
        return self

    def _refuse_few(self, counts: Int[np.ndarray, " class"]) -> None:
        if len(counts) < 2:
            raise InputError(
                f"Only one class is present: {str(self.classes_[0])!r}.", fix="Give rows of at least two classes."
            )
        alone = self.classes_[counts == 1]
        if len(alone):
            raise InputError(
                f"The class {str(alone[0])!r} has a single row, which cannot be both learnt and judged.",
                fix="Merge such classes, leave them out, or add rows.",
            )

    def _factors(self, codes: Int[np.ndarray, " rows"], weight: Any) -> Float[np.ndarray, " class"] | None:
        """The weight of each class. Balanced: n/(K·n_c), with weights in the place of counts."""
        if self.class_weight is None:
            return None
        if isinstance(self.class_weight, Mapping):
            labels = self.classes_.tolist()
            strange = [label for label in self.class_weight if label not in labels]
            factors = np.array([float(self.class_weight.get(label, 1.0)) for label in labels])
            if strange:
                raise InputError(f"class_weight names {strange[0]!r}, which is no class.", fix=f"There is: {labels}.")
            if not (np.isfinite(factors) & (factors >= 0)).all() or not factors[codes].any():
                raise InputError(f"class_weight is {self.class_weight}; expected finite weights >= 0, not all 0.")
            return factors
        if self.class_weight != "balanced":
            raise InputError(
                f"class_weight is {self.class_weight!r}.", fix='Give "balanced", a dict of weights, or None.'
            )
        mass = np.bincount(codes, weight)
        return np.asarray(mass.sum() / (len(mass) * mass))

    def predict_proba(self, X: Any) -> Float[np.ndarray, "rows classes"]:
        """Class probabilities, columns in the order of `classes_`."""
        return self._raw(X)

    def predict(self, X: Any) -> Shaped[np.ndarray, " rows"]:
        """The most likely class of each row."""
        best = self._raw(X).argmax(axis=1)
        labels: np.ndarray = self.classes_[best]
        return labels


class TuttiRegressor(RegressorMixin, _TuttiEstimator):
    """A tuned, cross-validated network for numbers, as a scikit-learn estimator; several outputs are allowed.

    X: as for `TuttiClassifier`. y: [rows] or [rows, outputs], finite; each output takes two values at least.

    Attributes after fit, as those of `TuttiClassifier` without `classes_`. score_: the *corrected out-of-fold
    score*, in the units of `metric`: by default the RMSE, where less is better. It is not the R² that
    `score(X, y)` computes.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> "TuttiRegressor":
        """Tunes and fits; sample_weight and groups as for `TuttiClassifier.fit`."""
        X, y = _with_target(self._features(X, reset=True, ensure_min_samples=2), y)
        y = check_array(y, ensure_2d=False, dtype="numeric", input_name="y")
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        X, y, weight, groups = _weighed(X, y, sample_weight, groups)
        self._fit(X, y.astype(np.float64), "regression", weight, groups)
        return self

    def predict(self, X: Any) -> Float[np.ndarray, " rows ..."]:
        """The value of each row; [rows, outputs] where there are several."""
        raw = self._raw(X)
        return raw[:, 0] if raw.shape[1] == 1 else raw

    def __sklearn_tags__(self) -> Any:
        parent: Any = super()
        tags = parent.__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _mixed(X: Any) -> bool:
    """Whether a frame has columns that are not numbers."""
    dtypes = X.dtypes if hasattr(X, "dtypes") else X.schema.types
    return not all(NUMBER.fullmatch(str(dtype)) for dtype in dtypes)


def _with_target(X: Any, y: Any) -> tuple[Any, Any]:
    if y is None:
        raise InputError("requires y to be passed, but the target y is None.")
    check_consistent_length(X, y)
    return X, y


def _refuse_gaps(y: Shaped[np.ndarray, " rows"]) -> None:
    """Raises for labels that are missing."""
    if y.dtype.kind == "O":
        gaps = [v is None or type(v).__name__ in ("NAType", "NaTType") or v != v for v in y.tolist()]
        if any(gaps):
            raise InputError(
                f"Input y contains NaN or None in {sum(gaps)} rows (first: row {gaps.index(True)}).",
                fix="Leave out the rows without a label.",
            )
    assert_all_finite(y, input_name="y")


def _refuse_infinite(findings: Sequence[Finding]) -> None:
    """The reader takes infinite numbers in a frame for missing; a scikit-learn estimator says no."""
    for found in findings:
        if found.kind == "infinite-values":
            raise InputError(
                f"Input X contains infinity or a value too large for float32 in column {found.where!r}.",
                fix="Replace it, by NaN where the value is missing.",
            )


def _weighed(X: Any, y: np.ndarray, sample_weight: Any, groups: Any) -> tuple[Any, np.ndarray, Any, Any]:
    """X, y, weights and groups of the rows that count: those of weight 0 are as good as absent."""
    if groups is not None:
        check_consistent_length(X, groups)
    if sample_weight is None:
        return X, y, None, groups
    weight = _weights(sample_weight, len(y))
    counts = weight > 0
    if counts.all():
        return X, y, weight, groups
    return _rows(X, counts), y[counts], weight[counts], None if groups is None else np.asarray(groups)[counts]


def _rows(X: Any, counts: Bool[np.ndarray, " rows"]) -> Any:
    return _safe_indexing(X, np.flatnonzero(counts))


def _weights(sample_weight: Any, rows: int) -> Float[np.ndarray, " rows"]:
    """Weights as an array, checked: one finite number >= 0 for each row, not all 0. A number stands for all rows."""
    if isinstance(sample_weight, Real):
        sample_weight = np.full(rows, float(sample_weight))
    weight: np.ndarray = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight", copy=True
    )
    if weight.shape != (rows,):
        raise InputError(f"sample_weight has shape {weight.shape}; expected ({rows},): one number per row.")
    if (weight < 0).any():
        raise InputError(f"Negative values in sample_weight (least: {weight.min()}).", fix="Give weights >= 0.")
    if not weight.any():
        raise InputError("All sample_weight are zero.", fix="Give at least some rows a weight above 0.")
    return weight
