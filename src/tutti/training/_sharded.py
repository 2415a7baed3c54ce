"""The sharded executor: every batch, and the state of the update rule, divided over several processes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tutti.core import InputError, Layout, Setting
from tutti.optim import Foreign, Rule, Schedule, ShapedRule
from tutti.training._agreement import check_agreement
from tutti.training._memory import batch_statistics
from tutti.training._plan import Plan
from tutti.training._population import Population
from tutti.training._problem import Problem
from tutti.training._program import Program
from tutti.training._ranks import Ranks, current_ranks
from tutti.training._step import row_norm

_TRIED, _STEPS = 128, 12  # numbers of the row on which a rule is tried, and its steps


class Sharded(Population):
    """A population whose members are trained by all processes of a group together, with `Population`'s interface.

    Every process takes its share of the rows of every batch; losses and flat gradients, each weighted by its share of
    the rows, are added up (torch's DistributedDataParallel on one flat gradient). Rows draw the random numbers of
    their place in the batch: a member is the undivided one to rounding, on any number of processes, masks included.

    `divided`: where every rule treats each weight by itself, each process keeps the rule's state and the weights'
    average for its own slice of the rows only: the gradient is scattered as it is added (reduce-scatter), the slice
    moved, and the weights gathered (ZeRO stage 2: Rajbhandari et al. 2020, arXiv 1910.02054). Clipping takes
    the norm of all slices. Rules that need the shapes of parameters, norms or a second gradient, and optimisers of
    other packages, move whole rows on every process (`divided` is False): only the passes are then shared.

    Weights, gradient and activations of a process's rows have to fit into the memory of each; `FullySharded` divides
    the weights as well. A network that takes statistics over its batch would see those of a share: InputError; so
    does a batch with fewer rows than processes. Running buffers of other kinds are averaged over the processes. A
    module that draws from torch's own generator draws other numbers than the undivided member. A saved state is that
    of an undivided `Population`: as many processes as one likes resume it.
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
        program = program or Program(problem, plan.batch_size)
        rules = [rule] if isinstance(rule, Rule) else list(rule.values())
        self._admit(program, plan, rules)
        check_agreement(self.ranks, program, settings, plan, rule, schedule)
        self.divided = self.ranks.count > 1 and all(elementwise(r) for r in rules)
        self._part = share(plan.batch_size, self.ranks)
        self._columns = _slices(program.layout.count, self.ranks.count)
        super().__init__(problem, settings, plan, rule, schedule, program=program)

    def _admit(self, program: Program, plan: Plan, rules: Sequence[Rule]) -> None:
        """Raises InputError where members cannot be divided."""
        reason = undividable(program, plan.batch_size, self.ranks.count)
        if reason is not None:
            raise InputError(f"The batches of this network cannot be divided over processes: {reason}.")

    def _moved(self, rows: Float[Tensor, "member weights"]) -> Float[Tensor, "member some"]:
        return rows[:, self._columns[self.ranks.rank]] if self.divided else rows

    def _whole(self, rows: Float[Tensor, "member some"]) -> Float[Tensor, "member weights"]:
        return self.ranks.gather_columns(rows, self._columns) if self.divided else rows

    def _norm(self, gradient: Float[Tensor, "member some"]) -> Float[Tensor, " member"]:
        """Each member's norm, of all slices."""
        own = row_norm(gradient)
        return self.ranks.add(own.square_()).sqrt_() if self.divided else own

    def _losses(
        self,
        running: Float[Tensor, "member numbers"] | None,
        inputs: tuple[Tensor, ...],
        target: Tensor,
        row_weights: Tensor | None,
        keys: Tensor,
    ) -> Float[Tensor, " member"]:
        loss = super()._losses(running, inputs, target, row_weights, keys)
        if running is not None:
            self.ranks.add(self.running.mul_(self._weight))
        return self._added(loss)

    def _again(
        self, rows: slice, inputs: tuple[Tensor, ...], target: Tensor, row_weights: Tensor | None, keys: Tensor
    ) -> Float[Tensor, " member"]:
        return self._added(super()._again(rows, inputs, target, row_weights, keys))

    @property
    def _weight(self) -> float:
        """This process's share of the rows."""
        rows: int = self._part.stop - self._part.start
        return rows / self.plan.batch_size

    def _added(self, loss: Float[Tensor, " member"]) -> Float[Tensor, " member"]:
        """The mean loss over the whole batch; the gradient becomes that of the whole batch, where it is moved."""
        self._gradient.mul_(self._weight)
        if self.divided:
            self.ranks.add_columns(self._gradient, self._columns)
        else:
            self.ranks.add(self._gradient)
        return self.ranks.add(loss * self._weight)

    def _one_step(
        self, step: int, inputs: tuple[Tensor, ...], target: Tensor, row_weights: Tensor | None, keys: Tensor
    ) -> Float[Tensor, " member"]:
        loss = super()._one_step(step, inputs, target, row_weights, keys)
        self._share_moved()
        return loss

    def _share_moved(self) -> None:
        """After a step: the weights that this process has moved, to where they are read."""
        if self.divided:
            self.ranks.gather_columns(self._moved(self.weights), self._columns, out=self.weights)

    def outputs(self, stream: int, rows: np.ndarray, *, averaged: bool = True) -> Tensor:
        """[setting, rows, …]: what every setting's member of one stream answers on these rows, a share by each."""
        if len(rows) < 2 * self.ranks.count:
            return super().outputs(stream, rows, averaged=averaged)
        parts = [share(len(rows), Ranks(rank, self.ranks.count)) for rank in range(self.ranks.count)]
        own = super().outputs(stream, rows[parts[self.ranks.rank]], averaged=averaged)
        found = self.ranks.gather_rows(own.transpose(0, 1).contiguous(), [p.stop - p.start for p in parts])
        return torch.cat(found).transpose(0, 1)

    def _joined(self, tensors: dict[str, Tensor], plain: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """As an undivided population has it; on all processes."""
        own = self._moved(tensors["weights"]).shape
        whole = {k: self._whole(v) for k, v in tensors.items() if _per_weight(k) and v.shape == own}
        return tensors | whole, plain

    def _take_up(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        shape = tensors["weights"].shape
        own = {k: self._kept(k, v) for k, v in tensors.items() if _per_weight(k) and v.shape == shape}
        super()._take_up({**tensors, **own}, plain)

    def _kept(self, name: str, rows: Float[Tensor, "member weights"]) -> Float[Tensor, "member some"]:
        """What this process keeps of a saved tensor that holds one number per weight."""
        return rows if name == "weights" else self._moved(rows)


def _per_weight(name: str) -> bool:
    """Whether a tensor of a saved state may hold one number per weight."""
    return name in ("weights", "average") or name.startswith("rule")


def undividable(program: Program, batch_size: int, processes: int) -> str | None:
    """Why the batches of a network cannot be divided over so many processes, or None."""
    if batch_size < 2 * processes:
        return f"{batch_size} rows are fewer than two for each of {processes} processes"
    layer = batch_statistics(program.template)
    return None if layer is None else f"{layer} takes statistics over the batch"


def elementwise(rule: Rule) -> bool:
    """Whether a rule moves each weight by what concerns that weight alone: tried on a short row, whole and in halves.

    The states have to agree too, those of a whole member included: a running norm betrays itself there before it
    matters. What asks for shapes or for a second gradient is not elementwise, nor is an optimiser of another package.
    """
    if isinstance(rule.bind(Layout((), (), ())), ShapedRule | Foreign):
        return False
    draw = torch.Generator().manual_seed(0)
    start = torch.randn(1, _TRIED, generator=draw, dtype=torch.float64)
    noise = torch.randn(_STEPS, 1, _TRIED, generator=draw, dtype=torch.float64)
    gradients = start + 0.3 * noise  # downhill all the way, as what looks for a distance expects
    try:
        whole = _tried(rule, start, gradients)
        halves = [_tried(rule, w, g) for w, g in zip(start.chunk(2, -1), gradients.chunk(2, -1), strict=True)]
    except _SecondGradientError:
        return False
    return all(_agree(whole[name], [half[name] for half in halves]) for name in whole)


def _agree(whole: Tensor, halves: list[Tensor]) -> bool:
    """Whether a row is its halves put together; of a number for the whole member, whether both have it."""
    if whole.shape[-1:] == (_TRIED,):
        return torch.equal(whole, torch.cat(halves, -1))
    return all(torch.equal(whole, half) for half in halves)


class _SecondGradientError(Exception):
    """A rule on trial has asked for another gradient."""


def _tried(rule: Rule, start: Tensor, gradients: Tensor) -> dict[str, Tensor]:
    """The weights after a few steps, the state by name, and the weights at which they would be judged."""
    weights = start.clone()
    state = rule.init(weights)
    for step, gradient in enumerate(gradients, start=1):
        rule.move(
            weights,
            gradient.clone(),
            state,
            step=step,
            rate=weights.new_full((1, 1), 0.01),
            weight_decay=weights.new_full((1, 1), 0.1),
            momentum=0.9,
            loss=weights.new_ones(1),
            again=_refuse,
        )
    judged = rule.evaluated(weights, state, momentum=0.9)
    return {**state, "weights": weights, "judged": weights if judged is None else judged}


def _refuse(member: int | None = None) -> Tensor:
    raise _SecondGradientError


def share(rows: int, ranks: Ranks) -> slice:
    """This process's rows: consecutive, as many as the others', or two more; partners stay together."""
    pairs = (rows + 1) // 2
    first, last = (2 * (pairs * rank // ranks.count) for rank in (ranks.rank, ranks.rank + 1))
    return slice(first, min(last, rows))


def _slices(numbers: int, count: int) -> list[slice]:
    """A row cut into as many slices of equal length, but for the last ones."""
    size = -(-numbers // count)
    return [slice(min(i * size, numbers), min((i + 1) * size, numbers)) for i in range(count)]
