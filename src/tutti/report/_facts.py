"""What a run folder says, gathered for a page: read once, never computed anew."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tutti.core import InputError
from tutti.metrics import METRICS
from tutti.report._numbers import Number, is_number
from tutti.report._words import metric_words
from tutti.runs import Run

ALIVE = ("training", "finished")
_NOUNS = {
    "images": "image",
    "signals": "signal",
    "text": "text",
    "graphs": "graph",
    "nodes": "node",
    "edges": "edge",
    "sets": "set",
    "series": "window",
}


@dataclass(frozen=True, kw_only=True)
class Score:
    """A score with its interval; its words say whether the rows behind it took part in choosing."""

    words: str
    value: Number
    low: Number | None
    high: Number | None
    rows: int | None


@dataclass(frozen=True, kw_only=True)
class Track:
    """One setting over the steps: (step, value) while it was trained, and how it ended."""

    setting: Mapping[str, Any]
    train_loss: Sequence[tuple[Number, Number]]
    score: Sequence[tuple[Number, Number]]
    status: str
    winner: bool

    @property
    def left(self) -> bool:
        """Whether it was given up before its time."""
        return self.status in ("dropped", "diverged")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The files of a run; whatever a run did not record is empty."""

    name: str
    folder: str  # as one would type it: "runs/NAME" or "NAME", never an absolute path
    status: str
    created: str
    tutti: str
    result: Mapping[str, Any]
    config: Mapping[str, Any]
    schema: Mapping[str, Any]
    task: Mapping[str, Any]
    plan: Sequence[str]
    environment: Mapping[str, Any]
    log: Sequence[Mapping[str, Any]]
    examples: Sequence[Any] = ()

    @property
    def details(self) -> Mapping[str, Any]:
        return self.result.get("details") or {}

    @property
    def metric(self) -> str:
        """The name of the metric that everything was judged by."""
        found = (self.details.get("metric") or {}).get("name")
        return str(found or (self.result.get("test") or self.cv).get("metric") or "score")

    @property
    def metric_words(self) -> str:
        return metric_words(self.metric)

    @property
    def higher_is_better(self) -> bool:
        found = (self.details.get("metric") or {}).get("higher_is_better")
        known = METRICS.get(self.metric)
        return bool(found) if found is not None else known is None or known.higher_is_better

    @property
    def kind(self) -> str:
        """ "regression", "binary", "multiclass" or "multilabel"; "" where unknown."""
        task = self.result.get("task")
        named = task.get("kind") if isinstance(task, Mapping) else task
        return str(self.task.get("kind") or named or "")

    @property
    def noun(self) -> str:
        """What a sample is called: "image", "text", "window" of a series, …; "row" of a table."""
        data = self.result.get("data") or {}
        return "window" if self.kind == "language" else _NOUNS.get(str(data.get("kind") or ""), "row")

    @property
    def counted(self) -> str:
        """What confusions and classes count: samples, or the pixels of images that were segmented."""
        return "pixel" if self.kind == "segmentation" else self.noun

    @property
    def target(self) -> Sequence[str]:
        return tuple(self.task.get("names") or ())

    @property
    def best(self) -> Mapping[str, Any]:
        """The winning hyper-parameters, without their score."""
        return {k: v for k, v in (self.result.get("best") or {}).items() if k != "cv"}

    @property
    def cv(self) -> Mapping[str, Any]:
        return (self.result.get("best") or {}).get("cv") or {}

    @property
    def score(self) -> Score | None:
        """The score that speaks for the run: on test rows; else out of fold, corrected for the search if known."""
        test, optimism = self.result.get("test"), self.details.get("optimism") or {}
        if test and is_number(test.get("value")):
            n = test.get("n")
            return Score(words=f"test {self.metric_words}", **_ends(test, "value"), rows=n)
        if is_number(optimism.get("corrected")):
            words = f"cross-validated {self.metric_words}, corrected for the search"
            return Score(words=words, **_ends(optimism, "corrected"), rows=None)
        if is_number(self.cv.get("mean")):
            words = f"cross-validated {self.metric_words} (selection score)"
            return Score(words=words, **_ends(self.cv, "mean"), rows=None)
        return None

    @property
    def kept_step(self) -> Number | None:
        """The step whose weights were kept, where the run says it."""
        step = self.best.get("step")
        return step if is_number(step) else None

    def is_best(self, setting: Mapping[str, Any]) -> bool:
        """Whether this setting is the winner: each hyper-parameter that both name is the same."""
        shared = [k for k in setting if k in self.best]
        return bool(shared) and all(setting[k] == self.best[k] for k in shared)

    def tracks(self) -> list[Track]:
        """Each setting's way through the population, from the log, in the order in which settings appeared."""
        gathered: dict[str, dict[str, Any]] = {}
        for event in self.log:
            if event.get("event") != "board" or not is_number(event.get("step")):
                continue
            for row in event.get("rows") or ():
                key = repr(sorted(row["setting"].items()))
                track = gathered.setdefault(key, {"setting": row["setting"], "train_loss": [], "score": []})
                if track.get("status", ALIVE[0]) not in ALIVE:
                    continue  # the board may go on naming a setting that has left; its last score was its last
                track["status"] = row.get("status", "")
                for name in ("train_loss", "score"):
                    if is_number(row.get(name)) and (not track[name] or track[name][-1][0] < event["step"]):
                        track[name].append((event["step"], row[name]))
        return [Track(**track, winner=self.is_best(track["setting"])) for track in gathered.values()]

    def kept(self, points: Sequence[tuple[Number, Number]]) -> tuple[Number, Number]:
        """The point of a curve at the step that was kept (the last one at or before it); else its end."""
        step = self.kept_step
        before = [p for p in points if step is not None and p[0] <= step]
        return before[-1] if before else points[-1]

    def curve(self, name: str) -> list[tuple[Number, Number]]:
        """A curve of the winner, as (step, value); holes are left out."""
        curves = self.details.get("curves") or {}
        pairs = zip(curves.get("step") or (), curves.get(name) or (), strict=False)
        return [(s, v) for s, v in pairs if is_number(s) and is_number(v)]


def read_facts(folder: Path) -> Facts:
    """The facts of a finished (or interrupted) run; InputError where it has no result yet."""
    run = Run.open(folder)
    if not run.has("result.json"):
        raise InputError(
            f"The run {folder} has no result yet (it is {run.status!r}).", fix="Let it finish, or resume it."
        )
    summary, result = run.summary(), _mapping(run, "result.json")
    details = result.get("details") or {}
    plan = run.read_json("plan.json") if run.has("plan.json") else {}
    lines = details.get("plan") or (plan.get("lines") if isinstance(plan, Mapping) else None) or []
    return Facts(
        name=summary.name,
        folder=shlex.quote(f"runs/{run.name}" if folder.resolve().parent.name == "runs" else run.name),
        status=summary.status,
        created=summary.created,
        tutti=summary.tutti,
        result=result,
        config=_mapping(run, "config.json"),
        schema=_mapping(run, "schema.json"),
        task=_mapping(run, "task.json"),
        plan=[str(line) for line in lines],
        environment=_mapping(run, "environment.json") or details.get("environment") or {},
        log=run.read_log(),
        examples=run.read_json("examples.json") if run.has("examples.json") else (),
    )


def _mapping(run: Run, file: str) -> Mapping[str, Any]:
    value = run.read_json(file) if run.has(file) else {}
    if not isinstance(value, dict):
        raise InputError(f"{run.folder / file} is damaged: expected a JSON object.", fix="Restore it, or run again.")
    return value


def _ends(data: Mapping[str, Any], middle: str) -> dict[str, Any]:
    low, high = data.get("low"), data.get("high")
    known = is_number(low) and is_number(high)
    return {"value": data[middle], "low": low if known else None, "high": high if known else None}
