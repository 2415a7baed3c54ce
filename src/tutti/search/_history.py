"""The history of a search: all that it has seen and decided, saved and brought back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tutti.core import Setting
from tutti.search._judge import Judge
from tutti.search._jury import Jury, Verdict
from tutti.search._record import Candidate, Decision, Track
from tutti.training import AnyPopulation, Autopsy

ROW_SCORES = 20_000_000  # row scores are kept up to this many numbers in all


@dataclass(kw_only=True)
class History:
    """A track per setting, in the order in which they came; decisions; autopsies; the best candidate so far."""

    tracks: dict[Setting, Track] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    autopsies: list[Autopsy] = field(default_factory=list)
    best: Candidate | None = None

    def begin(self, settings: Sequence[Setting]) -> None:
        """A new track for each of these."""
        self.tracks |= {setting: Track(setting=setting) for setting in settings}

    def add(self, verdicts: Sequence[Verdict], population: AnyPopulation, judge: Judge, jury: Jury) -> None:
        """Takes in an evaluation of all settings of a population: points, best points, and the best candidate."""
        by_row = len(jury.judged_rows) * len(self.tracks) <= ROW_SCORES
        winner: int | None = None
        for place, (setting, verdict) in enumerate(zip(population.settings, verdicts, strict=True)):
            track, point = self.tracks[setting], verdict.point
            track.diverged = verdict.diverged
            track.points.append(point)
            if judge.ahead(point, track.best):
                track.best = point
                scores, losses = verdict.row_scores, verdict.row_losses
                track.row_scores = jury.pooled(scores) if by_row and scores is not None else None
                track.row_losses = jury.pooled(losses) if by_row and losses is not None else None
            leader = (self.best.point if self.best else None) if winner is None else verdicts[winner].point
            winner = place if judge.ahead(point, leader) else winner
        if winner is not None:
            rows = population.member_rows(winner)
            self.best = Candidate(setting=population.settings[winner], point=verdicts[winner].point, rows=rows)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that the rest of the search depends on: tensors, and plain values for JSON."""
        tensors = {}
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
            "tracks": [t.to_json() for t in self.tracks.values()],
            "decisions": [d.to_json() for d in self.decisions],
            "autopsies": [a.to_json() for a in self.autopsies],
            "best": best,
        }

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> "History":
        """What `state` has saved."""
        tracks = {track.setting: track for track in map(Track.from_json, plain["tracks"])}
        for i, track in enumerate(tracks.values()):
            if f"rows.{i}" in tensors:
                track.row_scores = tensors[f"rows.{i}"].numpy()
            if f"losses.{i}" in tensors:
                track.row_losses = tensors[f"losses.{i}"].numpy()
        best = None
        if plain["best"] is not None:
            setting = Setting.from_json(plain["best"]["setting"])
            point = next(p for p in tracks[setting].points if p.step == plain["best"]["step"])
            best = Candidate(setting=setting, point=point, rows=tensors["best"])
        return cls(
            tracks=tracks,
            decisions=[Decision.from_json(d) for d in plain["decisions"]],
            autopsies=[Autopsy.from_json(a) for a in plain["autopsies"]],
            best=best,
        )
