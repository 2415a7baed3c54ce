"""The Plan: everything that was chosen about how to train, written down before it is used."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from itertools import pairwise
from typing import Any, Literal, get_args

from tutti.core import InputError, unknown

ExecutorName = Literal["stacked", "vmapped", "looped"]
Across = Literal["spread", "sharded", "fully_sharded"]
Precision = Literal["float32", "bfloat16"]


def part_rows(rows: int, parts: int) -> int:
    """Rows of each part of a batch that is cut into at most so many; even, so that no part divides two partners."""
    size = -(-rows // parts)
    return size + size % 2


@dataclass(frozen=True, kw_only=True)
class Rung:
    """At `step`, keep the `keep` settings with the best mean score over all folds and drop the others."""

    step: int
    keep: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a population trains. A resumed or repeated run reads it and never times or chooses again.

    horizon: steps until the schedule ends. segment: steps between two evaluations. batch_size: rows a step.
    stack: members that one pass of the stacked executors carries at most. micro: parts into which a batch is cut (at
    most: each has an even number of rows), one after another, to save memory. clip: limit of each member's
    gradient norm, None for none. average_every: steps between two updates of the weight average.
    threads: torch threads within an operation. draws: the network takes random numbers from torch's generator,
    which is then seeded for each member and step (looped members only).
    across: how several processes share a population: "spread" deals out its settings, "sharded" divides every batch,
    "fully_sharded" divides the weights as well.
    precision: what products and convolutions of the training passes are computed in; weights, their state, losses
    and evaluations are float32 either way.
    graphs: the training passes are recorded as CUDA graphs and replayed, on a CUDA device; with the same numbers.
    """

    executor: ExecutorName
    horizon: int
    segment: int
    batch_size: int
    rungs: tuple[Rung, ...] = ()
    stack: int = 96
    micro: int = 1
    clip: float | None = 1.0
    average_every: int = 4
    threads: int = 2
    draws: bool = False
    across: Across = "spread"
    precision: Precision = "float32"
    graphs: bool = False

    def __post_init__(self) -> None:
        if self.executor not in get_args(ExecutorName):
            raise unknown("executor", self.executor, get_args(ExecutorName))
        for name in ("horizon", "segment", "batch_size", "stack", "micro", "average_every", "threads"):
            if getattr(self, name) < 1:
                raise InputError(f"The plan's {name} is {getattr(self, name)}; expected at least 1.")
        for name, names in (("across", get_args(Across)), ("precision", get_args(Precision))):
            if getattr(self, name) not in names:
                raise unknown(f"value of a plan's {name}", str(getattr(self, name)), names)
        if self.clip is not None and not self.clip > 0:
            raise InputError(f"The clipping norm is {self.clip}; expected a number above 0, or None.")

    @property
    def segments(self) -> tuple[tuple[int, int], ...]:
        """(first, last) of every segment: cut at multiples of `segment`, at rungs, and at the horizon."""
        cuts = {*range(0, self.horizon, self.segment), self.horizon, *(r.step for r in self.rungs)}
        steps = sorted(c for c in cuts if 0 <= c <= self.horizon)
        return tuple(pairwise(steps))

    def rung_at(self, step: int) -> Rung | None:
        return next((r for r in self.rungs if r.step == step), None)

    def replace(self, **changes: Any) -> "Plan":
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Plan":
        known = [f.name for f in fields(cls)]
        for name in data:
            if name not in known:
                raise unknown("entry of a plan", name, known)
        return cls(**{**data, "rungs": tuple(Rung(**r) for r in data.get("rungs", ()))})
