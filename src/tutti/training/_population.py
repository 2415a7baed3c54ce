"""A population: settings × streams that train in lock-step, each member equal to its solo run."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from tutti.core import InputError, Setting, step_keys, stream_key
from tutti.optim import Rule, Schedule
from tutti.training._executors import Evaluator, make_groups
from tutti.training._order import MASKS
from tutti.training._plan import Plan
from tutti.training._problem import Problem
from tutti.training._program import Program
from tutti.training._step import advance, advance_alone

AVERAGE_POWER = 8.0  # γ of the weight average: its window is about t/(γ+1) steps


class Population:
    """Members = settings × streams (streams fastest), trained by one Plan.

    A member is a pure function of (setting, its stream's rows, its stream's keys, number of steps): it does
    not depend on its neighbours. `run` goes on to a step; between runs `outputs` evaluates, `keep` drops
    settings, `state` and `restore` save and load everything that later steps depend on.

    `averaged` weights are the polynomial-decay average of Shamir & Zhang (2013, arXiv 1212.1824, eq. 4):
    w̄_k = (1 − (γ+1)/(k+γ)) w̄_{k−1} + (γ+1)/(k+γ) w_k with γ = 8, updated every `plan.average_every` steps.
    They judge settings, so that a high rate is not punished before its decay.
    """

    def __init__(
        self,
        problem: Problem,
        settings: Sequence[Setting],
        plan: Plan,
        rule: Rule,
        schedule: Schedule,
        *,
        program: Program | None = None,
    ) -> None:
        if not settings:
            raise InputError("A population needs at least one setting.")
        self.plan = plan
        self.rule = rule
        self.program = program or Program(problem, plan.batch_size)
        self.settings = list(settings)
        self.step = 0
        self._factors = schedule.factors(plan.horizon)
        self.weights = self.program.initial.repeat(len(settings), 1)
        self.average = self.weights.clone()
        self.rule_state = rule.init(self.weights)
        self.alive = torch.ones(len(self.weights), dtype=torch.bool, device=self.weights.device)
        self.frozen_at: dict[tuple[Setting, int], int] = {}
        self._evaluate = Evaluator(self.program, plan.executor)
        self._arrange()

    @property
    def streams(self) -> int:
        return self.program.streams

    @property
    def members(self) -> int:
        return len(self.weights)

    def _arrange(self) -> None:
        """Binds groups and per-member numbers to the storage; called whenever the settings change."""
        plan, like = self.plan, self.weights
        self._gradient = torch.zeros_like(like)
        self._groups = make_groups(self.program, self.settings, plan.executor, plan.stack)
        begin = 0
        for group in self._groups:
            end = begin + group.members
            group.bind(self.weights[begin:end], self._gradient[begin:end])
            begin = end
        self._rate = self._column("learning_rate")
        decay, l1 = self._column("weight_decay"), self._column("l1")
        self._decay = decay if bool(decay.any()) else None
        self._l1 = l1 if bool(l1.any()) else None
        momenta = {s.momentum for s in self.settings}
        self._momentum: float | Tensor = momenta.pop() if len(momenta) == 1 else self._column("momentum")

    def _column(self, name: str) -> Float[Tensor, "member 1"]:
        numbers = [float(getattr(s, name)) for s in self.settings for _ in range(self.streams)]
        return torch.tensor(numbers, dtype=self.weights.dtype, device=self.weights.device)[:, None]

    def run(self, last: int) -> Float[Tensor, "setting stream"]:
        """Trains up to step `last` (not beyond the horizon) and returns the mean training loss of the segment."""
        first, last = self.step, min(last, self.plan.horizon)
        if last <= first:
            raise InputError(f"The population stands at step {first}; it cannot train on to step {last}.")
        keys = self._keys(first, last)
        total = torch.zeros(self.members, dtype=self.weights.dtype, device=self.weights.device)
        before = self.alive.clone()
        for step, batch in zip(range(first, last), self.program.batches(first, last), strict=True):
            total += self._one_step(step, *batch, keys[step - first])
            if (step + 1) % self.plan.average_every == 0:
                self._average((step + 1) // self.plan.average_every)
        self.step = last
        self._record_frozen(before)
        return (total / (last - first)).view(len(self.settings), self.streams)

    def _keys(self, first: int, last: int) -> Tensor:
        streams = self.program.problem.streams
        columns = [step_keys(stream_key(s.seed, s.fold, MASKS), first, last) for s in streams]
        return torch.as_tensor(np.stack(columns, axis=1), device=self.weights.device)

    def _one_step(
        self, step: int, inputs: tuple[Tensor, ...], target: Tensor, row_weights: Tensor | None, keys: Tensor
    ) -> Float[Tensor, " member"]:
        losses = [group.gradient(inputs, target, row_weights, keys) for group in self._groups]
        loss = losses[0] if len(losses) == 1 else torch.cat(losses)
        with torch.no_grad():
            if not (self.members == 1 and self._alone(step, loss)):
                self._together(step, loss)
        return loss

    def _alone(self, step: int, loss: Float[Tensor, " member"]) -> bool:
        """The step of a population of one, where the rule can take it in one kernel."""
        setting = self.settings[0]
        return setting.l1 == 0 and advance_alone(
            self.rule,
            self.weights,
            self._gradient,
            self.rule_state,
            self.alive,
            step=step + 1,
            loss=loss,
            rate=setting.learning_rate * float(self._factors[step]),
            decay=setting.weight_decay,
            momentum=setting.momentum,
            clip=self.plan.clip,
        )

    def _together(self, step: int, loss: Float[Tensor, " member"]) -> None:
        advance(
            self.rule,
            self.weights,
            self._gradient,
            self.rule_state,
            self.alive,
            step=step + 1,
            loss=loss,
            rate=self._rate * float(self._factors[step]),
            decay=self._decay,
            momentum=self._momentum,
            clip=self.plan.clip,
            l1=self._l1,
        )

    def _average(self, updates: int) -> None:
        weight = (AVERAGE_POWER + 1) / (updates + AVERAGE_POWER)
        self.average.lerp_(self.weights, weight)

    def _record_frozen(self, before: Bool[Tensor, " member"]) -> None:
        for member in torch.nonzero(before & ~self.alive).flatten().tolist():
            setting, stream = divmod(member, self.streams)
            self.frozen_at[self.settings[setting], stream] = self.step

    def outputs(self, stream: int, rows: np.ndarray, *, averaged: bool = True) -> Tensor:
        """[setting, rows, …]: what every setting's member of one stream answers on these rows."""
        weights = self.average if averaged else self.weights
        index = torch.as_tensor(rows, device=weights.device)
        mine = weights.view(len(self.settings), self.streams, -1)[:, stream]
        return self._evaluate(mine, self.settings, stream, index)

    def diverged(self) -> Bool[Tensor, "setting stream"]:
        """Which members have been frozen because their loss or gradient was not finite."""
        return ~self.alive.view(len(self.settings), self.streams)

    def member_weights(self, setting: int, *, averaged: bool = True) -> Float[Tensor, "stream weights"]:
        """A copy of one setting's weights, one row per stream."""
        weights = self.average if averaged else self.weights
        return weights.view(len(self.settings), self.streams, -1)[setting].clone()

    def keep(self, settings: Sequence[int]) -> None:
        """Goes on with these settings only (places in `self.settings`), in this order; the others are gone."""
        places = [i * self.streams + f for i in settings for f in range(self.streams)]
        rows = torch.as_tensor(places, device=self.weights.device)
        self.settings = [self.settings[i] for i in settings]
        self.weights, self.average, self.alive = self.weights[rows], self.average[rows], self.alive[rows]
        self.rule_state = {k: v[rows] if v.ndim else v for k, v in self.rule_state.items()}
        self._arrange()

    def network(self, weights: Float[Tensor, " weights"], setting: Setting, stream: int) -> nn.Module:
        """One member as an ordinary network."""
        return self.program.network(weights, setting, stream)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that later steps depend on: tensors, and plain values for JSON."""
        tensors = {"weights": self.weights, "average": self.average, "alive": self.alive}
        tensors |= {f"rule.{k}": v for k, v in self.rule_state.items()}
        frozen = [{"setting": s.to_json(), "stream": f, "step": t} for (s, f), t in self.frozen_at.items()]
        plain = {"step": self.step, "settings": [s.to_json() for s in self.settings], "frozen": frozen}
        return {k: v.clone() for k, v in tensors.items()}, plain

    def restore(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """Goes back to a saved state; the run that follows is bit for bit the uninterrupted one."""
        settings = [Setting.from_json(s) for s in plain["settings"]]
        expected = (len(settings) * self.streams, self.program.layout.count)
        if tuple(tensors["weights"].shape) != expected:
            found = "×".join(map(str, tensors["weights"].shape))
            raise InputError(
                f"This checkpoint holds weights of shape {found}; this network and these folds need "
                f"{expected[0]}×{expected[1]}.",
                fix="It comes from another model or other splits: resume with those of the run.",
            )
        device = self.weights.device
        self.settings, self.step = settings, int(plain["step"])
        self.weights, self.average = tensors["weights"].to(device), tensors["average"].to(device)
        self.alive = tensors["alive"].to(device)
        self.rule_state = {k.removeprefix("rule."): v.to(device) for k, v in tensors.items() if k.startswith("rule.")}
        self.frozen_at = {(Setting.from_json(f["setting"]), f["stream"]): f["step"] for f in plain["frozen"]}
        self._arrange()
