"""The peers of the tables benchmark: how each is fitted untuned, and how it is tuned within a time.

Tuning is the same for all: random settings from a space of each peer's own, the defaults first. A setting is
fitted on the five folds that tutti uses too, stopped early on each fold's validation rows, judged by its
out-of-fold predictions, and the best setting's five models predict together.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
import pandas as pd
from _bench import missing
from sklearn.model_selection import KFold, StratifiedKFold

Params = dict[str, Any]
Predict = Callable[[pd.DataFrame], np.ndarray]


@dataclass(frozen=True)
class Task:
    """What is asked, of what: training rows, the kind of target, threads and seed."""

    x: pd.DataFrame
    y: np.ndarray
    kind: str
    classes: int
    threads: int
    seed: int

    def folds(self) -> list[tuple[np.ndarray, np.ndarray]]:
        maker = KFold if self.kind == "regression" else StratifiedKFold
        count = 5 if self.kind == "regression" else max(2, min(5, int(np.bincount(self.y).min())))
        return list(maker(count, shuffle=True, random_state=self.seed).split(self.x, self.y))

    def loss(self, prediction: np.ndarray) -> np.ndarray:
        """One number per row, smaller is better: squared error, or the log of the true class's probability."""
        if self.kind == "regression":
            return (prediction - self.y) ** 2
        return -np.log(np.clip(prediction[np.arange(len(self.y)), self.y], 1e-7, 1))


class Peer(Protocol):
    """plain: fitted once as its maker intends. folds: fitted on folds; (out-of-fold predictions, predictor).
    space: a random setting."""

    name: str

    def plain(self, task: Task) -> Predict: ...

    def folds(self, task: Task, params: Params) -> tuple[np.ndarray, Predict]: ...

    def space(self, draw: np.random.Generator) -> Params: ...


def tune(peer: Peer, task: Task, seconds: float) -> tuple[Predict, int]:
    """The best of as many settings as fit in the time (at least one), and how many there were.

    A setting is begun only where the longest so far would still fit.
    """
    draw, began, longest = np.random.default_rng(task.seed), time.perf_counter(), 0.0
    best, chosen, tried = np.inf, None, 0
    while tried == 0 or time.perf_counter() - began + longest < seconds:
        start = time.perf_counter()
        out_of_fold, predict = peer.folds(task, peer.space(draw) if tried else {})
        score = float(np.nanmean(task.loss(out_of_fold)))
        if score < best or chosen is None:
            best, chosen = score, predict
        longest = max(longest, time.perf_counter() - start)
        tried += 1
    assert chosen is not None
    return chosen, tried


def log_uniform(draw: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(draw.uniform(np.log(low), np.log(high))))


class Trees(ABC):
    """Boosted trees: one model per fold, each stopped early on its validation rows."""

    name = ""

    @abstractmethod
    def model(self, task: Task, params: Params, *, stop: bool) -> Any: ...

    @abstractmethod
    def fit(self, model: Any, x: pd.DataFrame, y: np.ndarray, held: tuple[pd.DataFrame, np.ndarray]) -> None: ...

    def frame(self, x: pd.DataFrame) -> pd.DataFrame:
        return x

    def plain(self, task: Task) -> Predict:
        model = self.model(task, {}, stop=False)
        model.fit(self.frame(task.x), task.y)
        return lambda x: self._answer(task, model, self.frame(x))

    def folds(self, task: Task, params: Params) -> tuple[np.ndarray, Predict]:
        models, x = [], self.frame(task.x)
        shape = (len(task.y),) if task.kind == "regression" else (len(task.y), task.classes)
        out_of_fold = np.full(shape, np.nan)
        for train, held in task.folds():
            model = self.model(task, params, stop=True)
            self.fit(model, x.iloc[train], task.y[train], (x.iloc[held], task.y[held]))
            out_of_fold[held] = self._answer(task, model, x.iloc[held])
            models.append(model)
        return out_of_fold, lambda new: np.mean([self._answer(task, m, self.frame(new)) for m in models], axis=0)

    @staticmethod
    def _answer(task: Task, model: Any, x: pd.DataFrame) -> np.ndarray:
        return model.predict(x) if task.kind == "regression" else model.predict_proba(x)


class HistGradientBoosting(Trees):
    name = "HistGradientBoosting"

    def model(self, task: Task, params: Params, *, stop: bool) -> Any:
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        made = HistGradientBoostingRegressor if task.kind == "regression" else HistGradientBoostingClassifier
        patience = {"early_stopping": True, "max_iter": 1000, "n_iter_no_change": 30} if stop else {}
        return made(random_state=task.seed, categorical_features="from_dtype", **patience, **params)

    def fit(self, model: Any, x: pd.DataFrame, y: np.ndarray, held: tuple[pd.DataFrame, np.ndarray]) -> None:
        model.fit(x, y, X_val=held[0], y_val=held[1])

    def space(self, draw: np.random.Generator) -> Params:
        return {
            "learning_rate": log_uniform(draw, 0.02, 0.3),
            "max_leaf_nodes": round(log_uniform(draw, 7, 127)),
            "min_samples_leaf": round(log_uniform(draw, 4, 80)),
            "l2_regularization": log_uniform(draw, 1e-4, 10),
            "max_features": float(draw.uniform(0.4, 1)),
        }


class LightGBM(Trees):
    name = "LightGBM"

    def model(self, task: Task, params: Params, *, stop: bool) -> Any:
        import lightgbm

        made = lightgbm.LGBMRegressor if task.kind == "regression" else lightgbm.LGBMClassifier
        size = {"n_estimators": 2000} if stop else {}
        return made(random_state=task.seed, n_jobs=task.threads, verbose=-1, **size, **params)

    def fit(self, model: Any, x: pd.DataFrame, y: np.ndarray, held: tuple[pd.DataFrame, np.ndarray]) -> None:
        import lightgbm

        model.fit(x, y, eval_set=[held], callbacks=[lightgbm.early_stopping(50, verbose=False)])

    def space(self, draw: np.random.Generator) -> Params:
        return {
            "learning_rate": log_uniform(draw, 0.02, 0.3),
            "num_leaves": round(log_uniform(draw, 7, 127)),
            "min_child_samples": round(log_uniform(draw, 4, 80)),
            "reg_lambda": log_uniform(draw, 1e-3, 10),
            "colsample_bytree": float(draw.uniform(0.4, 1)),
            "subsample": float(draw.uniform(0.6, 1)),
            "subsample_freq": 1,
        }


class CatBoost(Trees):
    name = "CatBoost"

    def frame(self, x: pd.DataFrame) -> pd.DataFrame:
        """Categories as text, a missing one as a word: CatBoost takes no others."""
        words = {c: x[c].astype("object").fillna("missing").astype(str) for c in x.select_dtypes("category")}
        return x.assign(**words)

    def model(self, task: Task, params: Params, *, stop: bool) -> Any:
        import catboost

        made = catboost.CatBoostRegressor if task.kind == "regression" else catboost.CatBoostClassifier
        size = {"iterations": 2000, "od_type": "Iter", "od_wait": 50} if stop else {}
        return made(
            random_seed=task.seed,
            thread_count=task.threads,
            cat_features=list(task.x.select_dtypes("category").columns),
            verbose=0,
            allow_writing_files=False,
            **size,
            **params,
        )

    def fit(self, model: Any, x: pd.DataFrame, y: np.ndarray, held: tuple[pd.DataFrame, np.ndarray]) -> None:
        model.fit(x, y, eval_set=held)

    def space(self, draw: np.random.Generator) -> Params:
        return {
            "learning_rate": log_uniform(draw, 0.02, 0.3),
            "depth": int(draw.integers(4, 9)),
            "l2_leaf_reg": log_uniform(draw, 1, 10),
            "bagging_temperature": float(draw.uniform(0, 1)),
            "random_strength": log_uniform(draw, 0.1, 10),
        }


class Pytabkit:
    """A network of pytabkit, its folds in one call (RealMLP trains them as one program)."""

    name = ""
    kinds: Mapping[str, str]

    def plain(self, task: Task) -> Predict:
        return self.folds(task, {})[1]

    def folds(self, task: Task, params: Params) -> tuple[np.ndarray, Predict]:
        import pytabkit

        fill = Fill(task.x)
        folds = task.folds()
        size = min(len(held) for _, held in folds)  # pytabkit asks for folds of one size
        places = np.stack([held[:size] for _, held in folds])
        made = getattr(pytabkit, self.kinds[task.kind])
        model = made(device="cpu", n_threads=task.threads, random_state=task.seed, n_cv=len(folds), **params)
        model.fit(fill(task.x), task.y, val_idxs=places)
        members = self._members(task, model, fill(task.x))
        out_of_fold = np.full(members.shape[1:], np.nan)
        for fold, rows in enumerate(places):
            out_of_fold[rows] = members[fold, rows]
        return out_of_fold, lambda x: self._members(task, model, fill(x)).mean(axis=0)

    @staticmethod
    def _members(task: Task, model: Any, x: pd.DataFrame) -> np.ndarray:
        """[fold, rows, …]: what each fold's model answers."""
        answers = np.asarray(
            model.predict_ensemble(x) if task.kind == "regression" else model.predict_proba_ensemble(x)
        )
        return answers.reshape(len(answers), len(x)) if task.kind == "regression" else answers


class Fill:
    """Fills missing numbers with the training mean and adds a column that says so: pytabkit takes no others."""

    def __init__(self, x: pd.DataFrame) -> None:
        numbers = x.select_dtypes("number")
        self.means = numbers.mean().fillna(0.0)
        self.marked = [column for column in numbers if numbers[column].isna().any()]

    def __call__(self, x: pd.DataFrame) -> pd.DataFrame:
        marks = {f"{column} missing": x[column].isna().astype("float64") for column in self.marked}
        return x.fillna(self.means.to_dict()).assign(**marks)


class RealMLP(Pytabkit):
    name = "RealMLP"
    kinds = {"regression": "RealMLP_TD_Regressor", "classes": "RealMLP_TD_Classifier"}  # noqa: RUF012

    def space(self, draw: np.random.Generator) -> Params:
        return {
            "lr": log_uniform(draw, 0.02, 0.1),
            "p_drop": float(draw.choice([0.0, 0.15, 0.3])),
            "wd": float(draw.choice([0.0, 0.02])),
            "plr_sigma": log_uniform(draw, 0.05, 0.5),
        }


class TabM(Pytabkit):
    """Untuned it is fitted once, on a random four fifths, as its maker intends: it is an ensemble by itself."""

    name = "TabM"
    kinds = {"regression": "TabM_D_Regressor", "classes": "TabM_D_Classifier"}  # noqa: RUF012

    def plain(self, task: Task) -> Predict:
        import pytabkit

        fill = Fill(task.x)
        model = getattr(pytabkit, self.kinds[task.kind])(device="cpu", n_threads=task.threads, random_state=task.seed)
        model.fit(fill(task.x), task.y)
        return lambda x: self._members(task, model, fill(x)).mean(axis=0)

    def space(self, draw: np.random.Generator) -> Params:
        return {
            "lr": log_uniform(draw, 5e-4, 5e-3),
            "weight_decay": float(draw.choice([0.0, 1e-3, 1e-2])),
            "dropout": float(draw.choice([0.0, 0.1, 0.2])),
            "d_block": int(draw.choice([256, 512])),
        }


PEERS: tuple[Peer, ...] = (HistGradientBoosting(), LightGBM(), CatBoost(), RealMLP(), TabM())


def package(peer: Peer) -> str:
    """The package that a peer comes from."""
    return {"LightGBM": "lightgbm", "CatBoost": "catboost", "RealMLP": "pytabkit", "TabM": "pytabkit"}.get(
        peer.name, "sklearn.ensemble"
    )


def present() -> Iterator[Peer]:
    """The peers whose package is installed; of the others, a line."""
    for peer in PEERS:
        if find_spec(package(peer)) is None:
            missing(peer.name, f"{package(peer)} is not installed")
        else:
            yield peer
