"""The search: trains a population segment by segment, judges every setting on the mean over its folds."""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tutti.core import Board, BoardRow, InputError, Observer, Setting, permutation
from tutti.optim import Rule, Schedule
from tutti.search._grid import Grid
from tutti.search._judge import Judge
from tutti.search._record import Candidate, Decision, Point, Track
from tutti.tasks import tempered
from tutti.training import Autopsy, Plan, Problem, Program, current_ranks, populate

TRAIN_ROWS = 256  # training rows of each fold on which the training score is measured
JUDGING_ROWS = 40_000  # validation rows, over all folds, on which settings are judged while training
ROW_SCORES = 20_000_000  # row scores are kept up to this many numbers in all
CHECKPOINT_SECONDS = 10.0
AUTOPSIES = 3  # diverged settings that are looked into
_SAMPLE_KEY = 0x5A11
FIXED_SHARE = 0.2  # of a step's time that does not depend on the number of settings


class Search:
    """Trains `settings` on every stream of a problem by one Plan, and finds the best (setting, step).

    - All folds of a setting are judged together, at common steps, on averaged weights; on very large tables on
      JUDGING_ROWS of the validation rows (`judged_rows`), drawn by a fixed key.
    - At each rung of the plan the settings with the worst mean are dropped.
    - A setting with a diverged member is out: its mean over folds does not exist.
    - When the best setting lies on the edge of `grid`, its neighbour beyond is trained too, as long as it keeps
      pace with the best of the settings before it.
    - Before `deadline` (time.monotonic seconds) settings are dropped, and at last training is stopped, where
      the pace says that the plan does not fit.
    - Ctrl-C ends it after the segment under way; `interrupted` says so. A second one ends it at once.

    `replay`: decisions of an earlier run, which are then followed instead of made. `log` receives one dict a
    board or decision; `checkpoint` (tensors, values) at most every CHECKPOINT_SECONDS.
    """

    def __init__(
        self,
        problem: Problem,
        settings: Sequence[Setting],
        plan: Plan,
        rule: Rule | Mapping[str, Rule],
        schedule: Schedule,
        judge: Judge,
        *,
        grid: Grid | None = None,
        deadline: float | None = None,
        began: float | None = None,
        observer: Observer | None = None,
        log: Callable[[Mapping[str, Any]], None] = lambda _: None,
        checkpoint: Callable[[Mapping[str, Tensor], Mapping[str, Any]], None] | None = None,
        replay: Sequence[Decision] | None = None,
        program: Program | None = None,
    ) -> None:
        self.problem, self.plan, self.rule, self.schedule, self.judge = problem, plan, rule, schedule, judge
        self.grid, self.deadline, self.observer = grid, deadline, observer or Observer()
        self.log, self.replay = log, replay
        self._checkpoint = checkpoint
        self._checkpoint_at = time.monotonic()
        self.began = began if began is not None else time.monotonic()
        self.program = program or Program(problem, plan.batch_size)
        self.tracks: dict[Setting, Track] = {}
        self.decisions: list[Decision] = []
        self.autopsies: list[Autopsy] = []
        self.best: Candidate | None = None
        self.interrupted = self.stopped = False
        self.ranks = current_ranks()  # what the clock decides is decided by the first of them
        self.stage = 0
        self._pace = 0.0
        self._seconds_left: float | None = None
        self._held = [_sample(s.validation, JUDGING_ROWS // len(problem.streams)) for s in problem.streams]
        self._judged = np.concatenate(self._held)
        self.judged_rows, self._places = np.unique(self._judged, return_inverse=True)
        self._train_rows = [s.train[:: max(1, len(s.train) // TRAIN_ROWS)][:TRAIN_ROWS] for s in problem.streams]
        self._begin(settings)

    def _begin(self, settings: Sequence[Setting]) -> None:
        plan = self.plan if self.stage == 0 else self.plan.replace(rungs=())
        self._end_stage = False
        self.population = populate(self.problem, settings, plan, self.rule, self.schedule, program=self.program)
        for setting in settings:
            self.tracks[setting] = Track(setting=setting)

    def run(self) -> Candidate:
        """Trains to the end and returns the best candidate."""
        with torch_threads(self.plan.threads), _graceful_interrupt(self):
            while not (self.stopped or self.interrupted):
                self._run_stage()
                new = self._grow() if not (self.stopped or self.interrupted) else []
                if not new:
                    break
                self.stage += 1
                self._begin(new)
        for track in self.tracks.values():
            if track.status == "training" and not self.interrupted:
                track.status = "finished"
        if self.best is None:
            seen = f" {self.autopsies[0].cause}" if self.autopsies else ""
            raise InputError(
                f"Every member of the population diverged.{seen}",
                fix="Lower the learning rates (--learning-rate 1e-4) and look for extreme values in the data.",
            )
        return self.best

    def _run_stage(self) -> None:
        for _, last in self.population.plan.segments:
            if last <= self.population.step:
                continue
            began = time.monotonic()
            loss = self.population.run(last)
            self.interrupted = self.ranks.any(self.interrupted)
            self._look_into_deaths()
            self._evaluate(loss)
            self._decide(time.monotonic() - began)
            self._show()
            self._save()
            if self.stopped or self.interrupted or self._end_stage:
                return

    def _look_into_deaths(self) -> None:
        """Finds the step, the layer and the likely cause of the first members that diverged, by replaying them."""
        dead = np.argwhere(self.population.diverged().cpu().numpy())
        known = {found.setting for found in self.autopsies}
        for place, stream in dead[np.argsort([self.population.settings[i].learning_rate for i, _ in dead])]:
            if len(self.autopsies) < AUTOPSIES and self.population.settings[place] not in known:
                found = self.population.autopsy(int(place), int(stream))
                if found is not None:
                    self.autopsies.append(found)
                    self.log({"event": "autopsy", **found.to_json()})
                    known.add(found.setting)

    def _evaluate(self, loss: Tensor) -> None:
        """Judges every setting on all folds, and updates tracks and the best candidate."""
        population, judge = self.population, self.judge
        held = [judge.predictions(population, f, rows) for f, rows in enumerate(self._held)]
        seen = [judge.predictions(population, f, rows) for f, rows in enumerate(self._train_rows)]
        frozen, losses = population.diverged().cpu().numpy(), loss.cpu().numpy()
        temperatures = judge.temperatures(self._judged, np.concatenate(held, axis=1))
        for i, setting in enumerate(population.settings):
            track = self.tracks[setting]
            track.diverged = int(frozen[i].sum())
            temperature = float(temperatures[i])
            answers = [tempered(part[i], temperature) for part in held]
            learned = [tempered(part[i], temperature) for part in seen]
            scores = [judge.score(rows, p) for rows, p in zip(self._held, answers, strict=True)]
            point = Point(
                step=population.step,
                train_loss=float(losses[i].mean()),
                train_score=float(
                    np.mean([judge.score(r, p) for r, p in zip(self._train_rows, learned, strict=True)])
                ),
                score=float("nan") if track.diverged else float(np.mean(scores)),
                tie=float(np.mean([judge.tie(rows, p) for rows, p in zip(self._held, answers, strict=True)])),
                fold_scores=tuple(scores),
                temperature=temperature,
            )
            track.points.append(point)
            if self._ahead(point, track.best):
                track.best = point
                track.row_scores = self._pooled([judge.row_scores(*x) for x in zip(self._held, answers, strict=True)])
                track.row_losses = self._pooled([judge.row_losses(*x) for x in zip(self._held, answers, strict=True)])
            if self._ahead(point, self.best.point if self.best else None):
                self.best = Candidate(setting=setting, point=point, rows=population.member_rows(i))

    def _pooled(self, parts: Sequence[np.ndarray | None]) -> np.ndarray | None:
        """One number per validated row: its mean over the streams that validate on it."""
        known = [part for part in parts if part is not None]
        if len(known) < len(parts) or len(self.judged_rows) * len(self.tracks) > ROW_SCORES:
            return None
        values = np.concatenate(known).astype(np.float64)
        counts = np.bincount(self._places)
        return (np.bincount(self._places, weights=values) / counts).astype(np.float32)

    def _ahead(self, point: Point, other: Point | None) -> bool:
        """Whether a point is strictly better than another, or than none."""
        if np.isnan(point.score):
            return False
        return other is None or self._order(point) < self._order(other)

    def _ranking(self) -> list[int]:
        """Places of the population's settings, best latest point first; diverged ones are left out."""
        latest = [self.tracks[s].points[-1] for s in self.population.settings]
        sound = [i for i, point in enumerate(latest) if not np.isnan(point.score)]
        return sorted(sound, key=lambda i: self._order(latest[i]))

    def _decide(self, seconds: float) -> None:
        """Drops what diverged, what a rung drops, and what the time left does not allow."""
        if self.replay is not None:
            self._follow()
            return
        settings, step = self.population.settings, self.population.step
        order = self._ranking()
        diverged = [i for i in range(len(settings)) if i not in order]
        if diverged:
            self._drop("freeze", diverged, "its loss or gradient was no longer finite")
        if not order:
            self._end()
            return
        rung = self.population.plan.rung_at(step)
        keep = min(len(order), rung.keep) if rung else len(order)
        if self.stage and self.plan.rung_at(step):
            keep = self._pacing(order)
            if not keep:
                self._drop("drop", order, "behind the best setting at the same step")
                self._end()
                return
        fits, time_is_up = self.ranks.agree(self._fitting(seconds, len(settings), keep))
        if fits < keep:
            self._drop("drop", order[fits:keep], "the time left does not allow more settings")
        if keep < len(order):
            self._drop("drop", order[keep:], f"not among the best {keep} by its mean over all folds")
        if time_is_up:
            self._record("stop", [], "the time is up")
            self.stopped = True
        kept = order[: min(keep, fits)]
        if len(kept) < len(settings):
            self.population.keep(sorted(kept))

    def _end(self) -> None:
        """No setting is left: the end of the search, or of a stage that only tried beyond the edge."""
        self._end_stage = True
        self.stopped = self.stopped or self.stage == 0

    def _pacing(self, order: Sequence[int]) -> int:
        """How many of the grown settings are not behind the best setting of the stages before, at this step."""
        assert self.best is not None
        step, settings = self.population.step, self.population.settings
        others = [p for t in self.tracks.values() if t.setting not in settings for p in t.points if p.step == step]
        leader = min(others, key=self._order, default=None)
        own = [self.tracks[settings[i]].points[-1] for i in order]
        return len(own) if leader is None else sum(self._order(p) <= self._order(leader) for p in own)

    def _order(self, point: Point) -> tuple[float, float]:
        """Smaller is better."""
        return self.judge.order(point.score, point.tie)

    def _fitting(self, seconds: float, settings: int, keep: int) -> tuple[int, bool]:
        """How many of the `keep` settings can go on to the horizon in the time left, at the pace of the last segment
        with all `settings`; one at least. And whether not even the next segment of that one would fit."""
        plan, step = self.population.plan, self.population.step
        done = next(last - first for first, last in plan.segments if last == step)
        self._pace = seconds / done
        self._seconds_left = self._remaining(settings, keep)
        if self.deadline is None or step == plan.horizon:
            return keep, False
        left = self.deadline - time.monotonic()
        if self._seconds_left <= left:
            return keep, False
        share = left / (self._pace * (plan.horizon - step))
        fits = int(settings * max(0.0, (share - FIXED_SHARE) / (1 - FIXED_SHARE)))
        next_steps = next(last - first for first, last in plan.segments if first == step)
        alone = self._pace * next_steps * (FIXED_SHARE + (1 - FIXED_SHARE) / settings)
        return min(keep, max(1, fits)), left < alone

    def _remaining(self, settings: int, keep: int) -> float:
        """Seconds to the horizon when `keep` of the settings go on, with the drops that the rungs will make."""
        plan, total, at = self.population.plan, 0.0, keep
        for first, last in plan.segments:
            if first >= self.population.step:
                total += self._pace * (last - first) * (FIXED_SHARE + (1 - FIXED_SHARE) * at / settings)
                rung = plan.rung_at(last)
                at = min(at, rung.keep) if rung else at
        return total

    def _drop(self, kind: Any, places: Sequence[int], why: str) -> None:
        settings = [self.population.settings[i] for i in places]
        for setting in settings:
            self.tracks[setting].status = "diverged" if kind == "freeze" else "dropped"
        self._record(kind, settings, why)

    def _record(self, kind: Any, settings: Sequence[Setting], why: str) -> None:
        made = Decision(stage=self.stage, step=self.population.step, kind=kind, settings=tuple(settings), why=why)
        self.decisions.append(made)
        self.log({"event": "decision", **made.to_json()})

    def _follow(self) -> None:
        """Repeats the decisions that an earlier run made at this step."""
        here = [d for d in self.replay or () if (d.stage, d.step) == (self.stage, self.population.step)]
        gone: set[Setting] = set()
        for decision in here:
            if decision.kind == "grow":
                continue
            gone.update(decision.settings)
            at_hand = self.population.settings
            places = [at_hand.index(s) for s in decision.settings if s in at_hand]
            self._drop(decision.kind, places, decision.why) if places else self._record(
                decision.kind, [], decision.why
            )
            self.stopped = self.stopped or decision.kind == "stop"
        kept = [i for i, s in enumerate(self.population.settings) if s not in gone]
        if not kept:
            self._end()
        elif len(kept) < len(self.population.settings):
            self.population.keep(kept)

    def _grow(self) -> list[Setting]:
        """New settings beyond the edge of the grid, if the best lies on it and the time allows."""
        if self.replay is not None:
            told = [d for d in self.replay if d.kind == "grow" and d.stage == self.stage]
            new = [s for d in told for s in d.settings]
        elif self.grid is None or self.best is None:
            return []
        else:
            new = self.grid.grow(self.best.setting, list(self.tracks))
            new = new if new and self.ranks.agree(self._time_for(len(new))) else []
        if new:
            self._record("grow", new, "the best value lay on the edge of the grid")
        return new

    def _time_for(self, settings: int) -> bool:
        """Whether the time left allows so many more settings, at the pace so far."""
        if self.deadline is None:
            return True
        pace = (time.monotonic() - self.began) / max(1, sum(len(t.points) for t in self.tracks.values()))
        return 1.5 * pace * settings * len(self.plan.segments) < self.deadline - time.monotonic()

    def board(self) -> Board:
        """The population as an observer sees it."""
        rows = [
            BoardRow(
                setting=t.setting,
                score=t.points[-1].score if t.points and not np.isnan(t.points[-1].score) else None,
                status=t.status,
                diverged=t.diverged,
            )
            for t in self.tracks.values()
        ]
        return Board(
            metric=self.judge.metric,
            higher_is_better=self.judge.higher_is_better,
            rows=rows,
            folds=self.population.streams,
            step=self.population.step,
            horizon=self.plan.horizon,
            seconds=time.monotonic() - self.began,
            seconds_left=self._seconds_left,
        )

    def _show(self) -> None:
        board = self.board()
        self.observer.on_board(board)
        latest = [(t, t.points[-1]) for t in self.tracks.values() if t.points and t.points[-1].step == board.step]
        self.log(
            {
                "event": "board",
                "stage": self.stage,
                "step": board.step,
                "seconds": round(board.seconds, 3),
                "rows": [
                    {
                        "setting": t.setting.to_json(),
                        "train_loss": p.train_loss,
                        "train_score": p.train_score,
                        "score": p.score,
                        "fold_scores": list(p.fold_scores),
                        "status": t.status,
                    }
                    for t, p in latest
                ],
            }
        )

    def _save(self, *, now: bool = False) -> None:
        if self._checkpoint is None:
            return
        due = time.monotonic() - self._checkpoint_at >= CHECKPOINT_SECONDS
        if self.ranks.agree(due or now or self.interrupted):
            self._checkpoint(*self.state())
            self._checkpoint_at = time.monotonic()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that the rest of the search depends on."""
        tensors, plain = self.population.state()
        tensors = {f"population.{k}": v for k, v in tensors.items()}
        for i, track in enumerate(self.tracks.values()):
            if track.row_scores is not None:
                tensors[f"rows.{i}"] = torch.from_numpy(track.row_scores)
            if track.row_losses is not None:
                tensors[f"losses.{i}"] = torch.from_numpy(track.row_losses)
        best = None
        if self.best is not None:
            tensors["best"] = self.best.rows
            best = {"setting": self.best.setting.to_json(), "step": self.best.point.step}
        return tensors, {
            "stage": self.stage,
            "population": plain,
            "tracks": [t.to_json() for t in self.tracks.values()],
            "decisions": [d.to_json() for d in self.decisions],
            "autopsies": [a.to_json() for a in self.autopsies],
            "best": best,
        }

    def restore(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """Goes back to a saved state."""
        tracks = [Track.from_json(t) for t in plain["tracks"]]
        for i, track in enumerate(tracks):
            if f"rows.{i}" in tensors:
                track.row_scores = tensors[f"rows.{i}"].numpy()
            if f"losses.{i}" in tensors:
                track.row_losses = tensors[f"losses.{i}"].numpy()
        self.stage = int(plain["stage"])
        population = {k.removeprefix("population."): v for k, v in tensors.items() if k.startswith("population.")}
        settings = [Setting.from_json(s) for s in plain["population"]["settings"]]
        self._begin(settings)
        self.population.restore(population, plain["population"])
        self.tracks = {t.setting: t for t in tracks}
        self.decisions = [Decision.from_json(d) for d in plain["decisions"]]
        self.autopsies = [Autopsy.from_json(a) for a in plain["autopsies"]]
        self.best = None
        if plain["best"] is not None:
            setting = Setting.from_json(plain["best"]["setting"])
            point = next(p for p in self.tracks[setting].points if p.step == plain["best"]["step"])
            self.best = Candidate(setting=setting, point=point, rows=tensors["best"])


def _sample(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many of these rows, drawn by a fixed key, in ascending order."""
    return rows if len(rows) <= most else np.sort(rows[permutation(_SAMPLE_KEY, len(rows))[:most]])


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Runs with this many threads within an operation, as the Plan says, and puts the old number back."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _graceful_interrupt(search: Search) -> Iterator[None]:
    """The first Ctrl-C asks the search to end after its segment; the second raises KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(*_: object) -> None:
        search.interrupted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
