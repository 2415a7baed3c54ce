"""The fully sharded executor: weights too are divided over several processes, and gathered block by block."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh

from tutti.core import ALIGNMENT, InputError
from tutti.optim import Rule
from tutti.training._autopsy import Autopsy
from tutti.training._executors import Group
from tutti.training._memory import COPIES, Need
from tutti.training._plan import Plan
from tutti.training._program import Program
from tutti.training._ranks import Ranks
from tutti.training._sharded import Sharded, elementwise, share
from tutti.training._sharded_group import ShardedGroup
from tutti.training._slices import Slices

EVALUATED = 4  # times the rows of a training pass: without gradients a pass keeps one layer's activations, not all


class FullySharded(Sharded):
    """A population of which every process keeps a slice of each weight, with `Population`'s interface.

    Batches are divided as in `Sharded`. Weights, gradient, the rule's state and the weights' average are slices: see
    `Slices`. A block's weights are gathered from all processes just before it runs, forward and backward, and freed
    afterwards; its gradient is added up and scattered (ZeRO stage 3: Rajbhandari et al. 2020, arXiv 1910.02054;
    PyTorch FSDP: Zhao et al. 2023, arXiv 2304.11277): torch's FSDP2, `fully_shard`, on the parts that `blocks`
    names. A process's slices of a member are one row, on which rules, clipping and averaging act as on whole rows.

    Each step trains one member after another, whatever the plan's executor. A member is the undivided one to
    rounding, masks included. A saved state is that of an undivided `Population`, put together in the memory of
    the host, as `member_rows` are. Initial weights are drawn whole by each process before they are divided, so that
    they are the undivided member's; where memory runs out while training, the error is raised.

    InputError: what `Sharded` refuses; a rule that is not elementwise; a parameter without an axis, or one that is
    frozen; a network that reads the weights of a block without calling it; a single process.
    """

    _groups: Sequence[ShardedGroup]

    def _admit(self, program: Program, plan: Plan, rules: Sequence[Rule]) -> None:
        if self.ranks.count == 1:
            raise InputError(
                "Weights are divided over several processes; there is one.",
                fix="Start torchrun --nproc-per-node 2, or leave across='fully_sharded' out.",
            )
        _check(program, rules)
        super()._admit(program, plan, rules)

    def _first_weights(self) -> Float[Tensor, "member own"]:
        self._slices = Slices(whole=self.program.layout, ranks=self.ranks)
        whole = super()._first_weights()
        self._mesh = init_device_mesh(whole.device.type, (self.ranks.count,))
        self.program.release_weights()
        return self._slices.cut(whole)

    def _make_groups(self) -> Sequence[Group]:
        members = [(setting, stream) for setting in self.settings for stream in range(self.streams)]
        return [ShardedGroup(self.program, s, f, self.plan, self._slices, self._mesh) for s, f in members]

    def _moved(self, rows: Float[Tensor, "member own"]) -> Float[Tensor, "member own"]:
        return rows

    def _whole(self, rows: Float[Tensor, "member own"]) -> Float[Tensor, "member weights"]:
        return self._slices.join(rows)

    def _kept(self, name: str, rows: Float[Tensor, "member weights"]) -> Float[Tensor, "member own"]:
        return self._slices.cut(rows)

    def _losses(
        self,
        running: Float[Tensor, "member numbers"] | None,
        inputs: tuple[Tensor, ...],
        target: Tensor,
        row_weights: Tensor | None,
        keys: Tensor,
    ) -> Float[Tensor, " member"]:
        fewest = (self.plan.batch_size + 1) // 2 // self.ranks.count  # pairs of rows of any process
        micro = min(self.plan.micro, fewest)
        try:
            losses = [g.gradient(inputs, target, row_weights, keys, micro, self._part.start) for g in self._groups]
        except RuntimeError as error:
            if "DTensor" not in str(error):
                raise
            raise InputError(
                "This network reads the weights of one of its parts without calling it; they are not there then.",
                fix="Use across='sharded', or hold that part outside nn.Sequential and nn.ModuleList.",
            ) from error
        if running is not None:
            self.ranks.add(self.running.mul_(self._weight))
        return self.ranks.add(torch.cat(losses))

    def _share_moved(self) -> None:
        for group in self._groups:
            group.sharding.refresh()

    def _state_bytes(self) -> int:
        """Of the whole: it is replayed undivided."""
        return self.ranks.count * super()._state_bytes()

    def autopsy(self, setting: int, stream: int) -> Autopsy | None:
        """Why a member died: see `Population.autopsy`; every process replays it, undivided."""
        found = super().autopsy(setting, stream)
        self.program.release_weights()
        return found

    @torch.no_grad()
    def outputs(self, stream: int, rows: np.ndarray, *, averaged: bool = True) -> Tensor:
        """[setting, rows, …]: what every setting's member of one stream answers on these rows, a share by each."""
        weights, running = (self.average, self.average_running) if averaged else (self.weights, self.running)
        found = []
        for member in range(stream, self.members, self.streams):
            group = self._groups[member]
            with group.judged(weights[member], running[member]):
                found.append(self._answers(group, rows))
        return torch.stack(found)

    def _answers(self, group: ShardedGroup, rows: np.ndarray) -> Tensor:
        """[rows, …]: the outputs of a group's body, pass by pass, as many on every process."""
        count = self.ranks.count
        size = max(2 * count, EVALUATED * self.plan.batch_size // self.plan.micro)
        found = []
        for first in range(0, max(1, len(rows)), size):
            some = torch.as_tensor(rows[first : first + size], device=self.weights.device)
            parts = [share(len(some), Ranks(rank, count)) for rank in range(count)]
            together = len(some) >= 2 * count
            mine = some[parts[self.ranks.rank]] if together else some
            output: Tensor = group.body(*self.program.rows(group.streams[0], mine))
            found += self.ranks.gather_rows(output, [p.stop - p.start for p in parts]) if together else [output]
        return torch.cat(found)

    def member_rows(self, setting: int, *, averaged: bool = True) -> Float[Tensor, "stream numbers"]:
        """A copy of all that makes one setting's networks, a row per stream, in the memory of the host."""
        weights, running = (self.average, self.average_running) if averaged else (self.weights, self.running)
        mine = slice(setting * self.streams, (setting + 1) * self.streams)
        return torch.cat([self._whole(weights[mine]), running[mine].cpu()], dim=1)


def _check(program: Program, rules: Sequence[Rule]) -> None:
    """Raises InputError where slices of the weights cannot be moved, or not be made."""
    for rule in rules:
        if not elementwise(rule):
            raise InputError(
                f"The rule {rule.name!r} looks at more than one weight at a time; here it would see slices only.",
                fix="Use a rule that does not, such as 'adamw', or across='sharded'.",
            )
    for name in program.frozen:
        raise InputError(
            f"The parameter {name!r} is frozen (requires_grad is False); here all weights are divided, and trained.",
            fix="Use across='sharded', or train it too.",
        )
    for name, shape in zip(program.layout.names, program.layout.shapes, strict=True):
        if not shape:
            raise InputError(
                f"The parameter {name!r} is a number without an axis, which FSDP2 cannot divide.",
                fix="Give it the shape (1,), or use across='sharded'.",
            )


def measure_divided(program: Program, rules: Iterable[Rule], processes: int) -> Need:
    """What a member needs in each process, where its weights are divided over so many.

    Counted without a pass, which would take whole weights: rows cost 0. Processes on CPU share their host's memory.
    """
    rules = list(rules)
    _check(program, rules)
    few = program.initial.new_zeros(1, ALIGNMENT)
    states = [rule.init(few).values() for rule in rules]
    state = max(sum(v.numel() * v.element_size() for v in s) for s in states) / ALIGNMENT
    share = processes if few.device.type == "cuda" else 1
    return Need(member=int(program.layout.count * (COPIES * few.element_size() + 2 * state) / share), row=0)
