"""The spread executor: one population over several processes or devices, every setting on one of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tutti.core import InputError, Setting
from tutti.optim import Rule, Schedule
from tutti.training._agreement import check_agreement
from tutti.training._autopsy import Autopsy
from tutti.training._fully_sharded import FullySharded
from tutti.training._plan import Across, Plan
from tutti.training._population import Population
from tutti.training._problem import Problem
from tutti.training._program import Program
from tutti.training._ranks import Ranks, current_ranks
from tutti.training._sharded import Sharded


class Spread:
    """A population whose settings are dealt round over the processes of a group, with `Population`'s interface.

    Every process holds all streams of its own settings and trains them as it would alone; losses, outputs and rows
    are exchanged at the ends of segments, so that every process sees, and decides, the same. A member is the
    member of an undivided population: bit for bit where a process has two members or more. Dropped settings leave
    their process with less to do; nothing is moved.
    """

    def __init__(
        self,
        problem: Problem,
        settings: Sequence[Setting],
        plan: Plan,
        rule: Rule | Mapping[str, Rule],
        schedule: Schedule,
        *,
        program: Program | None = None,
        ranks: Ranks | None = None,
    ) -> None:
        self.ranks = ranks or current_ranks()
        self.program = program or Program(problem, plan.batch_size)
        check_agreement(self.ranks, self.program, settings, plan, rule, schedule)
        self.settings = list(settings)
        self.owners = [i % self.ranks.count for i in range(len(settings))]
        self.step = 0
        self._plan = plan
        # A process without a setting of its own trains the first one along, unseen, so that all keep in step.
        self._own = Population(problem, self._mine() or self.settings[:1], plan, rule, schedule, program=self.program)

    @property
    def streams(self) -> int:
        return self.program.streams

    @property
    def members(self) -> int:
        return len(self.settings) * self.streams

    @property
    def plan(self) -> Plan:
        return self._plan

    def _mine(self) -> list[Setting]:
        return [s for s, owner in zip(self.settings, self.owners, strict=True) if owner == self.ranks.rank]

    def _together(self, rows: Tensor) -> Tensor:
        """[own, …] of every process as [setting, …], in the order of the settings."""
        counts = [self.owners.count(rank) for rank in range(self.ranks.count)]
        parts = self.ranks.gather_rows(rows[: counts[self.ranks.rank]].contiguous(), counts)
        taken = [0] * self.ranks.count
        found = []
        for owner in self.owners:
            found.append(parts[owner][taken[owner]])
            taken[owner] += 1
        return torch.stack(found)

    def run(self, last: int) -> Float[Tensor, "setting stream"]:
        """Trains up to step `last`, on every process, and returns the mean training loss of the segment."""
        loss = self._own.run(last)
        self.step = self._own.step
        return self._together(loss)

    def outputs(self, stream: int, rows: np.ndarray, *, averaged: bool = True) -> Tensor:
        """[setting, rows, …]: what every setting's member of one stream answers on these rows."""
        return self._together(self._own.outputs(stream, rows, averaged=averaged))

    def diverged(self) -> Bool[Tensor, "setting stream"]:
        """Which members have been frozen because their loss or gradient was not finite."""
        return self._together(self._own.diverged())

    def member_rows(self, setting: int, *, averaged: bool = True) -> Float[Tensor, "stream numbers"]:
        """A copy of one setting's weights and running buffers, a row per stream, from whichever process has it."""
        owner, place = self._place(setting)
        own = owner == self.ranks.rank
        rows = self._own.member_rows(place if own else 0, averaged=averaged)
        counts = [self.streams if rank == owner else 0 for rank in range(self.ranks.count)]
        return self.ranks.gather_rows(rows[: counts[self.ranks.rank]], counts)[owner]

    def _place(self, setting: int) -> tuple[int, int]:
        """The process that has a setting, and its place there."""
        owner = self.owners[setting]
        return owner, self.owners[:setting].count(owner)

    def autopsy(self, setting: int, stream: int) -> Autopsy | None:
        """Why a member died in the segment that ended last: see `Population.autopsy`."""
        owner, place = self._place(setting)
        found = self._own.autopsy(place, stream) if owner == self.ranks.rank else None
        told = self.ranks.gather_state({}, None if found is None else found.to_json())[owner][1]
        return None if told is None else Autopsy.from_json(told)

    def keep(self, settings: Sequence[int]) -> None:
        """Goes on with these settings only (places in `self.settings`), in this order."""
        places = [self._place(i) for i in settings]
        own = [place for owner, place in places if owner == self.ranks.rank]
        self._own.keep(own or [0])
        self.settings = [self.settings[i] for i in settings]
        self.owners = [owner for owner, _ in places]

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that later steps depend on, of all processes: it is restored by as many."""
        parts = self.ranks.gather_state(*self._own.state())
        tensors = {f"rank{rank}.{k}": v for rank, (own, _) in enumerate(parts) for k, v in own.items()}
        settings = [s.to_json() for s in self.settings]
        plain = {"step": self.step, "settings": settings, "owners": self.owners, "ranks": [p for _, p in parts]}
        return tensors, plain

    def restore(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """Goes back to a saved state."""
        written = len(plain.get("ranks", (None,)))
        if written != self.ranks.count:
            raise InputError(
                f"This checkpoint was written by {written} processes; {self.ranks.count} are resuming it.",
                fix=f"Resume it with torchrun --nproc-per-node {written}."
                if written > 1
                else "Resume it without torchrun.",
            )
        prefix = f"rank{self.ranks.rank}."
        own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        self._own.restore(own, plain["ranks"][self.ranks.rank])
        self.settings = [Setting.from_json(s) for s in plain["settings"]]
        self.owners, self.step = list(plain["owners"]), int(plain["step"])


AnyPopulation = Population | Spread


def populate(
    problem: Problem,
    settings: Sequence[Setting],
    plan: Plan,
    rule: Rule | Mapping[str, Rule],
    schedule: Schedule,
    *,
    program: Program | None = None,
) -> AnyPopulation:
    """A population: over the processes that torchrun has started, where there are several, else in this one."""
    kind: type[AnyPopulation] = Population
    if current_ranks().count > 1:
        kinds: dict[Across, type[AnyPopulation]] = {"sharded": Sharded, "fully_sharded": FullySharded}
        kind = kinds.get(plan.across, Spread)
    return kind(problem, settings, plan, rule, schedule, program=program)
