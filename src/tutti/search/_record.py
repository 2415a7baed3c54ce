"""What a search remembers: a track per setting, the best candidate, and every decision."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from torch import Tensor

from tutti.core import Setting


@dataclass(frozen=True, kw_only=True)
class Point:
    """One evaluation of a setting: means over its folds, judged on averaged weights.

    `score` is the metric, `tie` the log-loss (0 for values); Judge.order says which of them decides first.
    Both are those of predictions at `temperature`, one for all folds, fitted on their validation rows.
    """

    step: int
    train_loss: float
    train_score: float
    score: float
    tie: float
    fold_scores: tuple[float, ...]
    temperature: float = 1.0


@dataclass(kw_only=True)
class Track:
    """The history of one setting.

    `row_scores` belong to its best step: [validated rows], or None. So do `row_losses`, what each row adds to the
    criterion where that is not the metric.
    """

    setting: Setting
    points: list[Point] = field(default_factory=list)
    status: Literal["training", "dropped", "diverged", "finished"] = "training"
    diverged: int = 0
    best: Point | None = None
    row_scores: Float[np.ndarray, " rows"] | None = None
    row_losses: Float[np.ndarray, " rows"] | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "setting": self.setting.to_json(),
            "points": [asdict(p) for p in self.points],
            "status": self.status,
            "diverged": self.diverged,
            "best": None if self.best is None else asdict(self.best),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Track":
        return cls(
            setting=Setting.from_json(data["setting"]),
            points=[_point(p) for p in data["points"]],
            status=data["status"],
            diverged=data["diverged"],
            best=None if data["best"] is None else _point(data["best"]),
        )


def _point(data: Mapping[str, Any]) -> Point:
    values: dict[str, Any] = {k: float("nan") if v is None else v for k, v in data.items()}
    return Point(**{**values, "fold_scores": tuple(_number(x) for x in data["fold_scores"])})


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Something that was decided from outside: it is logged, and a repeated run follows it."""

    stage: int
    step: int
    kind: Literal["drop", "freeze", "grow", "stop"]
    settings: tuple[Setting, ...]
    why: str

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "settings": [s.to_json() for s in self.settings]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Decision":
        settings = tuple(Setting.from_json(s) for s in data["settings"])
        return cls(**{**data, "settings": settings})


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A (setting, step) with the networks of all its streams: a row each of weights and running buffers."""

    setting: Setting
    point: Point
    rows: Float[Tensor, "stream numbers"]
