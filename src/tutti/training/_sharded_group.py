"""One member whose weights are divided over processes, carried through its passes by FSDP2."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh

from tutti.core import Setting
from tutti.training._blocks import Sharding
from tutti.training._executors import Group, attach
from tutti.training._plan import Plan
from tutti.training._program import Program
from tutti.training._ranks import Ranks
from tutti.training._sharded import share
from tutti.training._slices import Slices


class ShardedGroup(Group):
    """One member, of which this process holds slices: see `FullySharded`."""

    def __init__(
        self, program: Program, setting: Setting, stream: int, plan: Plan, slices: Slices, mesh: DeviceMesh
    ) -> None:
        super().__init__(program, [setting], [stream], "looped", plan.draws, plan.precision)
        self._slices, self._mesh = slices, mesh
        self._weight = 1.0

    def bind(
        self,
        weights: Float[Tensor, "member own"],
        gradient: Float[Tensor, "member own"],
        running: Float[Tensor, "member numbers"],
        counters: Int[Tensor, "member counts"],
    ) -> None:
        """Makes slices of the body's parameters views of this row of the population's storage."""
        self._row, self._gradient = weights[0], gradient[0]
        self._smoothing = None if self._smoothing is None else self._smoothing[0]
        self._slots = list(self._slices.own.views(self._gradient).values())
        self._padding = self._gradient[self._slices.own.used :]
        self._running = self.program.running_buffers(running[0], counters[0])
        self.buffers = {k: v[0] for k, v in self.buffers.items()} | self._running
        attach(self.body, self.buffers)
        self.sharding = Sharding(self.body, self.program.aliases, self._slices, self._row, self._mesh)

    def gradient(
        self,
        inputs: tuple[Tensor, ...],
        target: Tensor,
        weights: Tensor | None,
        keys: Int[Tensor, " stream"],
        micro: int = 1,
        first_row: int = 0,
    ) -> Float[Tensor, " member"]:
        """These rows' share of the mean loss on the whole batch; the slices of the whole batch's gradient land in the
        flat gradient.

        There are exactly `micro` parts, as every process exchanges weights as often as the others.
        """
        loss = torch.zeros(1, dtype=self._row.dtype, device=self._row.device)
        for i in range(micro):
            part = share(target.shape[1], Ranks(i, micro))
            self._weight = (part.stop - part.start) / self.program.batch_size
            mine = None if weights is None else weights[:, part]
            own = tuple(x[:, part] for x in inputs)
            loss += self._weight * self._backward(own, target[:, part], mine, keys, first_row + part.start)
        self.sharding.move_gradient(self._slots)
        return loss

    def _differentiate(self, total: Float[Tensor, ""]) -> None:
        (self._weight * total).backward()

    @contextmanager
    def judged(self, row: Float[Tensor, " own"], running: Float[Tensor, " numbers"]) -> Iterator[None]:
        """While open, the body is in evaluation mode and has these weights and running buffers."""
        kept = self._row.clone()
        try:
            self._load(row)
            attach(self.body.eval(), self.program.running_buffers(running))
            yield
        finally:
            self._load(kept)
            attach(self.body.train(), self._running)

    def _load(self, row: Float[Tensor, " own"]) -> None:
        self._row.copy_(row)
        self.sharding.refresh()
