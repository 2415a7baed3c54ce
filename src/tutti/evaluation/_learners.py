"""The baselines' learners: scikit-learn's linear models and histogram gradient boosting behind one face.

Everything that is fitted, imputation and encoding too, is fitted on the rows given and nothing else.
"""

# mypy: disable-error-code="no-untyped-call"

import warnings
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, Protocol, runtime_checkable

import numpy as np

from tutti.evaluation._problem import Problem

Setting = Mapping[str, float | int]


class Model:
    """One scikit-learn estimator, or one per output, on features prepared by `steps`, grown by iterations.

    `notes` are what a reader of the result should know, in words.
    """

    def __init__(
        self, problem: Problem, rows: np.ndarray, steps: Any, features: Any, estimator: Callable[[], Any]
    ) -> None:
        self.problem, self.steps, self.features = problem, steps, features
        self.mass = problem.mass(rows)
        self.notes: set[str] = set()
        target = problem.target[rows]
        self.apart = target.ndim == 2 and not (problem.kind == "regression" and "alpha" in estimator().get_params())
        self.targets = list(target.T) if self.apart else [target]
        # A class or label that never varies here needs no model, and scikit-learn refuses to fit one.
        self.models = [None if problem.kind != "regression" and np.ptp(y) == 0 else estimator() for y in self.targets]

    def grow(self, iterations: int) -> None:
        """Trains on until so many iterations."""
        from sklearn.exceptions import ConvergenceWarning

        for model, target in zip(self.models, self.targets, strict=True):
            if model is None:
                continue
            if "warm_start" in model.get_params() and "max_leaf_nodes" in model.get_params():
                model.set_params(max_iter=iterations)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                model.fit(self.features, target, sample_weight=self.mass)
            for warning in caught:
                if issubclass(warning.category, ConvergenceWarning):
                    self.notes.add("logistic regression stopped at 200 steps before it had settled")

    def predict(self, rows: np.ndarray, iterations: int | None = None) -> np.ndarray:
        """For these rows in the task's format, as after so many iterations (None: as grown)."""
        features = self.steps.transform(self.problem.matrix(rows))
        parts = [
            self._part(model, target, features, iterations)
            for model, target in zip(self.models, self.targets, strict=True)
        ]
        if self.problem.kind == "multilabel":
            return np.stack([part[:, 1] for part in parts], axis=1)
        return np.concatenate(parts, axis=1)

    def _part(self, model: Any, target: np.ndarray, features: Any, iterations: int | None) -> np.ndarray:
        """Values [rows, outputs], or probabilities [rows, classes] with a place for classes not seen here."""
        rows = features.shape[0]
        if self.problem.kind == "regression":
            found = _at(model, "predict", features, iterations)
            return np.asarray(found, np.float64).reshape(rows, -1)
        width = 2 if self.problem.kind == "multilabel" else max(2, self.problem.outputs)
        spread = np.zeros((rows, width))
        if model is None:
            spread[:, int(target[0])] = 1
        else:
            spread[:, model.classes_.astype(int)] = _at(model, "predict_proba", features, iterations)
        return spread


@runtime_checkable
class Fitted(Protocol):
    """A baseline under way on some training rows. `notes` are what a reader of the result should know, in words."""

    notes: set[str]

    def grow(self, iterations: int) -> None:
        """Trains on until so many iterations."""

    def predict(self, rows: np.ndarray, iterations: int | None = None) -> np.ndarray:
        """For these rows in the task's format, as after so many iterations (None: as grown)."""


@runtime_checkable
class Learner(Protocol):
    """A baseline with a small grid of its own.

    `axes` names each hyper-parameter and its values in order; `start` is where the search begins, `quick` where it
    begins when time is short; `chunk` is how many iterations are added between two looks at the validation rows, up
    to `most` (both 1 where a model is fitted at once).
    """

    name: str
    chunk: int
    most: int
    axes: Mapping[str, tuple[float | int, ...]]
    start: Setting
    quick: Setting

    def cost(self, setting: Setting) -> float:
        """What a fit takes, relative to the other settings."""

    def begin(self, setting: Setting, rows: np.ndarray) -> Fitted:
        """A model of this setting for these training rows; everything is fitted on them and nothing else."""


class Linear:
    """A grid of linear models: logistic regression over C (one per label for multilabel), ridge over alpha.

    Numbers: missing ones become the training mean, with an indicator; then standardised. Codes: one-hot.
    """

    name = "linear"
    chunk = most = 1

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        if problem.kind == "regression":
            self.axes: Mapping[str, tuple[float | int, ...]] = {"alpha": tuple(10.0**k for k in range(-2, 6))}
            self.start: Setting = {"alpha": 1.0}
        else:
            self.axes = {"C": tuple(10.0**k for k in range(-5, 4))}
            self.start = {"C": 0.1}
        self.quick: Setting = self.start
        self._prepared: dict[bytes, tuple[Any, Any]] = {}

    def cost(self, setting: Setting) -> float:
        """What a fit takes, relative to the other settings."""
        return 1.0

    def begin(self, setting: Setting, rows: np.ndarray) -> Model:
        key = rows.tobytes()
        if key not in self._prepared:
            steps = _linear_features(self.problem.numbers.shape[1], self.problem.codes.shape[1])
            self._prepared = {key: (steps, steps.fit_transform(self.problem.matrix(rows)))}
        return Model(self.problem, rows, *self._prepared[key], lambda: self._estimator(setting))

    def _estimator(self, setting: Setting) -> Any:
        from sklearn.linear_model import LogisticRegression, Ridge

        if self.problem.kind == "regression":
            return Ridge(alpha=setting["alpha"])
        return LogisticRegression(C=setting["C"], max_iter=200)


class Trees:
    """A grid of scikit-learn's HistGradientBoosting over learning rate × leaves, one per output or label.

    Codes are categories as far as scikit-learn allows (254 levels; rarer ones share the last). The number of
    iterations is chosen on the fold's validation rows, as the network's is.
    """

    name = "boosted trees"
    most = 500

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        leaves = (8, 31) if len(problem.splits.folds[0].train) < 5000 else (8, 31, 127)
        self.axes: Mapping[str, tuple[float | int, ...]] = {
            "learning_rate": (0.03, 0.1, 0.3),
            "max_leaf_nodes": leaves,
        }
        self.start: Setting = {"learning_rate": 0.1, "max_leaf_nodes": 31}
        self.quick: Setting = {"learning_rate": 0.1, "max_leaf_nodes": 8}
        self.chunk = max(1, min(25, 250 // max(1, problem.outputs)))

    def cost(self, setting: Setting) -> float:
        """Iterations needed go with 1/rate, their time with somewhat less than the leaves."""
        return float((0.1 / setting["learning_rate"]) * (setting["max_leaf_nodes"] / 31) ** 0.5)

    def begin(self, setting: Setting, rows: np.ndarray) -> Model:
        table = self.problem.matrix(rows)
        steps = _tree_features(table, self.problem.codes.shape[1])
        features = steps.fit_transform(table)
        return Model(self.problem, rows, steps, features, lambda: self._estimator(setting))

    def _estimator(self, setting: Setting) -> Any:
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        codes = self.problem.codes.shape[1]
        mask = np.arange(self.problem.numbers.shape[1] + codes) >= self.problem.numbers.shape[1]
        kind = HistGradientBoostingRegressor if self.problem.kind == "regression" else HistGradientBoostingClassifier
        return kind(
            learning_rate=setting["learning_rate"],
            max_leaf_nodes=setting["max_leaf_nodes"],
            categorical_features=mask if codes else None,
            early_stopping=False,
            warm_start=True,
            random_state=self.problem.seed,
        )


def _at(model: Any, method: str, features: Any, iterations: int | None) -> Any:
    if iterations is None or getattr(model, "n_iter_", None) == iterations or not hasattr(model, "staged_" + method):
        return getattr(model, method)(features)
    stages: Iterable[Any] = getattr(model, "staged_" + method)(features)
    return next(islice(stages, iterations - 1, None))


def _linear_features(numbers: int, codes: int) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    filled = make_pipeline(SimpleImputer(add_indicator=True, keep_empty_features=True), StandardScaler())
    hot = OneHotEncoder(handle_unknown="ignore")
    return ColumnTransformer(
        [("numbers", filled, slice(0, numbers))] * (numbers > 0)
        + [("codes", hot, slice(numbers, numbers + codes))] * (codes > 0)
    )


def _tree_features(table: np.ndarray, codes: int) -> Any:
    """Numbers as they are (a column without a value as 0: scikit-learn cannot bin it), then codes by level."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OrdinalEncoder

    width = table.shape[1] - codes
    empty = np.isnan(table[:, :width]).all(axis=0)
    zero = SimpleImputer(strategy="constant", fill_value=0.0, keep_empty_features=True)
    levels = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=254)
    parts = [
        ("numbers", "passthrough", np.flatnonzero(~empty)),
        ("empty", zero, np.flatnonzero(empty)),
        ("codes", levels, np.arange(width, width + codes)),
    ]
    return ColumnTransformer([part for part in parts if len(part[2])])
