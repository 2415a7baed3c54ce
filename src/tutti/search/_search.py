"""The search: trains a population segment by segment, judges every setting on the mean over its folds."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from tutti.core import Board, BoardRow, InputError, Observer, Setting
from tutti.optim import Rule, Schedule
from tutti.search._decisions import Decider
from tutti.search._grid import Grid
from tutti.search._history import History
from tutti.search._interrupt import graceful_interrupt, torch_threads
from tutti.search._judge import Judge
from tutti.search._jury import Jury
from tutti.search._pace import Pace
from tutti.search._record import Candidate, Decision, Track
from tutti.training import Autopsy, Plan, Problem, Program, current_ranks, populate

CHECKPOINT_SECONDS = 10.0
AUTOPSIES = 3  # diverged settings that are looked into


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
        self.grid, self.observer, self.log = grid, observer or Observer(), log
        self._checkpoint = checkpoint
        self._checkpoint_at = time.monotonic()
        self.program = program or Program(problem, plan.batch_size)
        self.history = History()
        self.interrupted = self.stopped = False
        self.ranks = current_ranks()  # what the clock decides is decided by the first of them
        self.stage = 0
        self._pace = Pace(time.monotonic() if began is None else began, deadline)
        self._decider = Decider(plan, judge, self._pace, self.ranks, log, replay)
        self._jury = Jury(judge, problem.streams)
        self._begin(settings)

    @property
    def tracks(self) -> dict[Setting, Track]:
        return self.history.tracks

    @property
    def decisions(self) -> list[Decision]:
        return self.history.decisions

    @property
    def autopsies(self) -> list[Autopsy]:
        return self.history.autopsies

    @property
    def best(self) -> Candidate | None:
        return self.history.best

    @property
    def judged_rows(self) -> np.ndarray:
        """The rows that a track's `row_scores` belong to."""
        return self._jury.judged_rows

    def _begin(self, settings: Sequence[Setting]) -> None:
        plan = self.plan if self.stage == 0 else self.plan.replace(rungs=())
        self.population = populate(self.problem, settings, plan, self.rule, self.schedule, program=self.program)
        self.history.begin(settings)

    def run(self) -> Candidate:
        """Trains to the end and returns the best candidate."""
        with torch_threads(self.plan.threads), graceful_interrupt(self._interrupt):
            while not (self.stopped or self.interrupted):
                self._run_stage()
                new = [] if self.stopped or self.interrupted else self._grown()
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

    def _interrupt(self) -> None:
        self.interrupted = True

    def _grown(self) -> list[Setting]:
        return self._decider.grow(self.history, self.grid, self.stage, self.population.step)

    def _run_stage(self) -> None:
        for _, last in self.population.plan.segments:
            if last <= self.population.step:
                continue
            began = time.monotonic()
            loss = self.population.run(last)
            self.interrupted = self.ranks.any(self.interrupted)
            self._look_into_deaths()
            verdicts = self._jury.verdicts(self.population, loss)
            self.history.add(verdicts, self.population, self.judge, self._jury)
            end = self._decider.decide(self.history, self.population, self.stage, time.monotonic() - began)
            self.stopped = self.stopped or end == "search"
            self._show()
            self._save()
            if end or self.interrupted:
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

    def board(self) -> Board:
        """The population as an observer sees it."""
        rows = [
            BoardRow(
                setting=t.setting,
                score=t.points[-1].score if t.points and not np.isnan(t.points[-1].score) else None,
                status=t.status,
                diverged=t.diverged,
                leads=self.best is not None and self.best.setting == t.setting,
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
            seconds=time.monotonic() - self._pace.began,
            seconds_left=self._pace.seconds_left,
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

    def _save(self) -> None:
        if self._checkpoint is None:
            return
        due = time.monotonic() - self._checkpoint_at >= CHECKPOINT_SECONDS
        if self.ranks.agree(due or self.interrupted):
            self._checkpoint(*self.state())
            self._checkpoint_at = time.monotonic()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that the rest of the search depends on."""
        tensors, plain = self.population.state()
        seen, told = self.history.state()
        return {f"population.{k}": v for k, v in tensors.items()} | seen, {
            "stage": self.stage,
            "population": plain,
            **told,
        }

    def restore(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """Goes back to a saved state."""
        self.stage = int(plain["stage"])
        population = {k.removeprefix("population."): v for k, v in tensors.items() if k.startswith("population.")}
        self._begin([Setting.from_json(s) for s in plain["population"]["settings"]])
        self.population.restore(population, plain["population"])
        self.history = History.of(tensors, plain)
