"""A population: settings × streams that train in lock-step, each member equal to its solo run."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tutti.core import InputError, Setting, keep_memory, step_keys, stream_key
from tutti.optim import Rule, Schedule
from tutti.training._autopsy import Autopsy, Scene, examine
from tutti.training._evaluator import Evaluator
from tutti.training._executors import Group, make_groups
from tutti.training._memory import out_of_memory, shrink
from tutti.training._order import MASKS
from tutti.training._plan import Plan
from tutti.training._problem import Problem
from tutti.training._program import WHOLE, Program
from tutti.training._recorded import Recorded, recorder
from tutti.training._step import Descent, Evaluate, Norm, row_norm

_STATE = ("weights", "average", "running", "average_running", "counters", "alive")
_FROZEN = "frozen."  # before the names of frozen parameters, which a module built anew may not have again
AVERAGE_POWER = 8.0  # γ of the weight average: its window is about t/(γ+1) steps
REPLAY_BYTES = 2**28  # the state of a segment's start is kept up to this size, to replay the end of a member


class Population:
    """Members = settings × streams (streams fastest), trained by one Plan.

    A member is a pure function of (setting, its stream's rows, its stream's keys, number of steps): it does
    not depend on its neighbours. `run` goes on to a step; between runs `outputs` evaluates, `keep` drops
    settings, `state` and `restore` save and load everything that later steps depend on.

    `averaged` weights are the polynomial-decay average of Shamir & Zhang (2013, arXiv 1212.1824, eq. 4):
    w̄_k = (1 − (γ+1)/(k+γ)) w̄_{k−1} + (γ+1)/(k+γ) w_k with γ = 8, updated every `plan.average_every` steps.
    They judge settings, so that a high rate is not punished before its decay.
    """

    _part = WHOLE  # the rows of every batch that this process carries
    _norm: Norm = staticmethod(row_norm)

    def __init__(
        self,
        problem: Problem,
        settings: Sequence[Setting],
        plan: Plan,
        rule: Rule | Mapping[str, Rule],
        schedule: Schedule,
        *,
        program: Program | None = None,
    ) -> None:
        if not settings:
            raise InputError("A population needs at least one setting.")
        self.plan = plan
        self.rules = {"": rule} if isinstance(rule, Rule) else dict(rule)
        self.program = program or Program(problem, plan.batch_size)
        self.settings = list(settings)
        self.step = 0
        self._factors = schedule.factors(plan.horizon)
        self.weights = self._first_weights()
        self.average = self._moved(self.weights).clone()
        self.running = self.program.running.repeat(len(settings), 1)
        self.average_running = self.running.clone()
        self.counters = self.program.counters.repeat(len(settings), 1)
        self._descent = self._start()
        self.alive = torch.ones(len(self.weights), dtype=torch.bool, device=self.weights.device)
        self.frozen_at: dict[tuple[Setting, int], int] = {}
        self._start_of_segment: tuple[dict[str, Tensor], dict[str, Any]] | None = None
        self._schedule = schedule
        self._arrange()

    def _first_weights(self) -> Float[Tensor, "member weights"]:
        """What this process keeps of the members' weights, at their beginning."""
        return self.program.initial.repeat(len(self.settings), 1)

    def _start(self) -> Descent:
        """The rules at work on the weights, at their beginning."""
        moved = self._moved(self.weights)
        return Descent(self.rules, self.settings, self.streams, moved, self.program.layout, self._norm)

    def _moved(self, rows: Float[Tensor, "member weights"]) -> Float[Tensor, "member some"]:
        """The part of rows of weights that this process's rules move: a view of all, or of some."""
        return rows

    def _whole(self, rows: Float[Tensor, "member some"]) -> Float[Tensor, "member weights"]:
        """What `_moved` has taken a part of."""
        return rows

    @property
    def streams(self) -> int:
        return self.program.streams

    @property
    def members(self) -> int:
        return len(self.weights)

    def _arrange(self) -> None:
        """Binds groups and per-member numbers to the storage; called whenever the settings change."""
        like = self.weights
        if like.device.type == "cpu":
            keep_memory()  # large activations and states are asked for again at every step
        self._gradient = torch.zeros_like(like)
        groups = self._make_groups()
        begin = 0
        for group in groups:
            end = begin + group.members
            mine = slice(begin, end)
            group.bind(self.weights[mine], self._gradient[mine], self.running[mine], self.counters[mine])
            begin = end
        records = recorder(like.device) if self.plan.graphs else None
        self._groups: Sequence[Group | Recorded] = (
            groups if records is None else [Recorded(group, records) for group in groups]
        )
        self._rate = self._column("learning_rate")
        decay, l1 = self._column("weight_decay"), self._column("l1")
        self._decay = decay if bool(decay.any()) else None
        self._l1 = l1 if bool(l1.any()) else None
        momenta = {s.momentum for s in self.settings}
        self._momentum: float | Tensor = momenta.pop() if len(momenta) == 1 else self._column("momentum")

    def _make_groups(self) -> Sequence[Group]:
        plan = self.plan
        return make_groups(self.program, self.settings, plan.executor, plan.stack, plan.draws, plan.precision)

    def _column(self, name: str) -> Float[Tensor, "member 1"]:
        numbers = [float(getattr(s, name)) for s in self.settings for _ in range(self.streams)]
        return torch.tensor(numbers, dtype=self.weights.dtype, device=self.weights.device)[:, None]

    def run(self, last: int) -> Float[Tensor, "setting stream"]:
        """Trains up to step `last` (not beyond the horizon) and returns the mean training loss of the segment."""
        first, last = self.step, min(last, self.plan.horizon)
        if last <= first:
            raise InputError(f"The population stands at step {first}; it cannot train on to step {last}.")
        self._start_of_segment = self._own_state() if self._state_bytes() <= REPLAY_BYTES else None
        total = torch.zeros(self.members, dtype=self.weights.dtype, device=self.weights.device)
        before = self.alive.clone()
        lived = torch.zeros(self.members, dtype=torch.int64, device=self.weights.device)
        for loss in self.steps(last):
            total += loss
            lived += self.alive
        self._descent.average(self.average, self._moved(self.weights), self._momentum, None)
        self._record_frozen(before, first + lived)
        return (total / (last - first)).view(len(self.settings), self.streams)

    def steps(self, last: int) -> Iterator[Float[Tensor, " member"]]:
        """Trains up to step `last`, and gives all members' losses of each step: `run` without what begins and ends a
        segment. What becomes not finite is frozen, but neither recorded nor explained."""
        first = self.step
        keys = self._keys(first, last)
        for step, batch in zip(range(first, last), self.program.batches(first, last, self._part), strict=True):
            loss = self._one_step(step, *batch, keys[step - first])
            if (step + 1) % self.plan.average_every == 0:
                self._average((step + 1) // self.plan.average_every)
            yield loss
        self.step = last

    def _keys(self, first: int, last: int) -> Tensor:
        streams = self.program.problem.streams
        columns = [step_keys(stream_key(s.seed, s.fold, MASKS), first, last) for s in streams]
        return torch.as_tensor(np.stack(columns, axis=1), device=self.weights.device)

    def _one_step(
        self, step: int, inputs: tuple[Tensor, ...], target: Tensor, row_weights: Tensor | None, keys: Tensor
    ) -> Float[Tensor, " member"]:
        before = self.running.clone() if self.running.shape[1] else None
        loss = self._losses(before, inputs, target, row_weights, keys)
        with torch.no_grad():
            if not (self.members == 1 and self._alone(step, loss)):
                self._together(step, loss, lambda rows: self._again(rows, inputs, target, row_weights, keys))
            if before is not None:  # a forward pass that diverged has spoilt its statistics already
                torch.where(self.alive[:, None], self.running, before, out=self.running)
        return loss

    def _losses(
        self,
        running: Float[Tensor, "member numbers"] | None,
        inputs: tuple[Tensor, ...],
        target: Tensor,
        row_weights: Tensor | None,
        keys: Tensor,
    ) -> Float[Tensor, " member"]:
        """All members' losses and gradients; where memory runs out, once more with a smaller plan.

        running: the running buffers as they were before the step.
        """
        counters = self.counters.clone() if self.counters.shape[1] else self.counters
        while True:
            try:
                losses = [self._pass(g, inputs, target, row_weights, keys) for g in self._groups]
                return losses[0] if len(losses) == 1 else torch.cat(losses)
            except (RuntimeError, MemoryError) as error:
                smaller = shrink(self.plan, self.program) if out_of_memory(error) else None
                if smaller is None:
                    raise
                self.plan = smaller
            if running is not None:
                self.running.copy_(running)
            self.counters.copy_(counters)
            self._arrange()

    def _pass(
        self,
        group: Group | Recorded,
        inputs: tuple[Tensor, ...],
        target: Tensor,
        row_weights: Tensor | None,
        keys: Tensor,
    ) -> Float[Tensor, " member"]:
        """One group's losses and gradients."""
        return group.gradient(inputs, target, row_weights, keys, self.plan.micro, self._part.start or 0)

    def _again(
        self,
        rows: slice,
        inputs: tuple[Tensor, ...],
        target: Tensor,
        row_weights: Tensor | None,
        keys: Tensor,
    ) -> Float[Tensor, " member"]:
        """The losses of these members once more at the weights as they now are, and their gradients, in place.

        Whole groups are evaluated. Running buffers stay those of the first pass.
        """
        running, counters = self.running.clone(), self.counters.clone()
        loss, begin = self.weights.new_zeros(self.members), 0
        for group in self._groups:
            end = begin + group.members
            if begin < rows.stop and rows.start < end:
                with torch.enable_grad():
                    loss[begin:end] = self._pass(group, inputs, target, row_weights, keys)
            begin = end
        self.running.copy_(running)
        self.counters.copy_(counters)
        return loss

    def _alone(self, step: int, loss: Float[Tensor, " member"]) -> bool:
        """The step of a population of one, where the rule can take it in one kernel."""
        setting = self.settings[0]
        return setting.l1 == 0 and self._descent.advance_alone(
            self._moved(self.weights),
            self._moved(self._gradient),
            self.alive,
            step=step + 1,
            loss=loss,
            rate=setting.learning_rate * float(self._factors[step]),
            decay=setting.weight_decay,
            momentum=setting.momentum,
            clip=self.plan.clip,
        )

    def _together(self, step: int, loss: Float[Tensor, " member"], evaluate: Evaluate) -> None:
        self._descent.advance(
            self._moved(self.weights),
            self._moved(self._gradient),
            self.alive,
            step=step + 1,
            loss=loss,
            rate=self._rate * float(self._factors[step]),
            decay=self._decay,
            momentum=self._momentum,
            clip=self.plan.clip,
            l1=self._l1,
            evaluate=evaluate,
        )

    def _average(self, updates: int) -> None:
        weight = (AVERAGE_POWER + 1) / (updates + AVERAGE_POWER)
        self._descent.average(self.average, self._moved(self.weights), self._momentum, weight)
        if self.running.shape[1]:
            self.average_running.lerp_(self.running, weight)

    def _record_frozen(self, before: Bool[Tensor, " member"], died: Int[Tensor, " member"]) -> None:
        for member in torch.nonzero(before & ~self.alive).flatten().tolist():
            setting, stream = divmod(member, self.streams)
            self.frozen_at[self.settings[setting], stream] = int(died[member])

    def _state_bytes(self) -> int:
        """About the size of `state`: weights, average and two more numbers per weight, and the running buffers."""
        return (4 * self.weights.numel() + 2 * self.running.numel()) * self.weights.element_size()

    def autopsy(self, setting: int, stream: int) -> Autopsy | None:
        """Why a member died in the segment that ended last (before any `keep`); None where it did not, or where
        the segment's start was too large to keep."""
        died = self.frozen_at.get((self.settings[setting], stream))
        if died is None or self._start_of_segment is None or died < self._start_of_segment[1]["step"]:
            return None
        # With a neighbour: a population of one is carried by other kernels, whose rounding differs.
        places = sorted({setting, 0 if setting else min(1, len(self.settings) - 1)})
        replay = Population(
            self.program.problem, self.settings, self.plan, self.rules, self._schedule, program=self.program
        )
        replay.restore(*self._joined(*self._start_of_segment))
        replay.keep(places)
        member = places.index(setting) * self.streams + stream
        losses = [float(loss[member]) for loss in replay.steps(died)]
        return replay._examine(member, tuple(losses))

    def _examine(self, member: int, losses: tuple[float, ...]) -> Autopsy:
        """The step that follows, of one member, looked at with the plain module."""
        place, stream = divmod(member, self.streams)
        setting, step = self.settings[place], self.step
        group = Group(self.program, [setting], [stream], "looped", self.plan.draws)
        mine = slice(member, member + 1)
        group.bind(self.weights[mine], self._gradient[mine], self.running[mine].clone(), self.counters[mine].clone())
        inputs, target, _ = next(self.program.batches(step, step + 1))
        scene = Scene(
            body=group.body,
            inputs=tuple(x[stream] for x in inputs),
            target=target[stream],
            loss=group.losses,
            key=self._keys(step, step + 1)[0, stream],
            losses=losses,
            weights=self.weights[member],
        )
        return examine(scene, setting, stream, step)

    @cached_property
    def _evaluate(self) -> Evaluator:
        return Evaluator(self.program, self.plan.executor)

    def outputs(self, stream: int, rows: np.ndarray, *, averaged: bool = True) -> Tensor:
        """[setting, rows, …]: what every setting's member of one stream answers on these rows."""
        weights, running = self._judged(averaged)
        index = torch.as_tensor(rows, device=weights.device)
        return self._evaluate(self._of(stream, weights), self._of(stream, running), self.settings, stream, index)

    def _judged(self, averaged: bool) -> tuple[Float[Tensor, "member weights"], Float[Tensor, "member numbers"]]:
        return (self._whole(self.average), self.average_running) if averaged else (self.weights, self.running)

    def _of(self, stream: int, rows: Float[Tensor, "member numbers"]) -> Float[Tensor, "setting numbers"]:
        return rows.view(len(self.settings), self.streams, -1)[:, stream]

    def diverged(self) -> Bool[Tensor, "setting stream"]:
        """Which members have been frozen because their loss or gradient was not finite."""
        return ~self.alive.view(len(self.settings), self.streams)

    def member_rows(self, setting: int, *, averaged: bool = True) -> Float[Tensor, "stream numbers"]:
        """A copy of all that makes one setting's networks, a row per stream: weights, then running buffers."""
        weights, running = self._judged(averaged)
        mine = slice(setting * self.streams, (setting + 1) * self.streams)
        return torch.cat([weights[mine], running[mine]], dim=1)

    def keep(self, settings: Sequence[int]) -> None:
        """Goes on with these settings only (places in `self.settings`), in this order; the others are gone."""
        places = [i * self.streams + f for i in settings for f in range(self.streams)]
        rows = torch.as_tensor(places, device=self.weights.device)
        self.settings = [self.settings[i] for i in settings]
        self.weights, self.average, self.alive = self.weights[rows], self.average[rows], self.alive[rows]
        self.running, self.average_running = self.running[rows], self.average_running[rows]
        self.counters = self.counters[rows]
        self._descent.keep(settings)
        self._arrange()

    def network(self, row: Float[Tensor, " numbers"], setting: Setting, stream: int) -> nn.Module:
        """One member as an ordinary network, from its row of `member_rows`."""
        return self.program.network(row, setting, stream)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that later steps depend on: tensors, and plain values for JSON."""
        tensors, plain = self._joined(*self._own_state())
        return tensors | {_FROZEN + name: value for name, value in self.program.frozen.items()}, plain

    def _joined(self, tensors: dict[str, Tensor], plain: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The state of which this process keeps a part."""
        return tensors, plain

    def _own_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors = {name: getattr(self, name) for name in _STATE}
        moved, rules = self._descent.save()
        frozen = [{"setting": s.to_json(), "stream": f, "step": t} for (s, f), t in self.frozen_at.items()]
        plain = {
            "step": self.step,
            "settings": [s.to_json() for s in self.settings],
            "frozen": frozen,
            "rules": rules,
        }
        return {k: v.clone() for k, v in tensors.items()} | moved, plain

    def restore(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """Goes back to a saved state, which stays as it is; what follows is the uninterrupted run, bit for bit."""
        if "ranks" in plain:
            raise InputError(
                "This checkpoint was written by several processes.",
                fix=f"Resume it with torchrun --nproc-per-node {len(plain['ranks'])}.",
            )
        expected = (len(plain["settings"]) * self.streams, self.program.layout.count)
        if tuple(tensors["weights"].shape) != expected:
            found = "×".join(map(str, tensors["weights"].shape))
            raise InputError(
                f"This checkpoint holds weights of shape {found}; this network and these folds need "
                f"{expected[0]}×{expected[1]}.",
                fix="It comes from another model or other splits: resume with those of the run.",
            )
        self._take_up(tensors, plain)

    def _take_up(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """Goes on from what this process keeps of a saved state."""
        device = self.weights.device
        self.settings, self.step = [Setting.from_json(s) for s in plain["settings"]], int(plain["step"])
        for name in _STATE:
            setattr(self, name, tensors[name].to(device, copy=True))
        self.program.frozen |= {
            name: tensors[_FROZEN + name].to(device) for name in self.program.frozen if _FROZEN + name in tensors
        }
        self._descent = self._start()
        self._descent.load(tensors, plain.get("rules", ()), device)
        self.frozen_at = {(Setting.from_json(f["setting"]), f["stream"]): f["step"] for f in plain["frozen"]}
        self._arrange()
