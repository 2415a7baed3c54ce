"""Evaluation: what members answer on any rows, as many rows in one pass as memory allows."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tutti.core import Setting
from tutti.training._executors import attach
from tutti.training._memory import saved_bytes
from tutti.training._plan import ExecutorName
from tutti.training._program import Program

PASS_BYTES = 2**28  # of activations in one pass
_FEW = 2  # rows of the small pass that is measured


class Evaluator:
    """Outputs of members on any rows, without gradients.

    A pass carries as many settings and rows as make PASS_BYTES of activations, one of each at least. What a row makes
    is counted in two small passes; rows of a network that computes on all of its data whatever is asked (a graph)
    cost little each, beside a fixed part. Inputs are gathered, and a late front applied, pass by pass.
    """

    def __init__(self, program: Program, mode: ExecutorName) -> None:
        self.program = program
        self.mode = mode
        self.body = program.body().eval()
        self._cost: tuple[int, int] | None = None  # bytes of a member's pass: whatever the rows, and for each row

    @torch.no_grad()
    def __call__(
        self,
        weights: Float[Tensor, "setting weights"],
        running: Float[Tensor, "setting numbers"],
        settings: Sequence[Setting],
        stream: int,
        rows: Int[Tensor, " batch"],
    ) -> Tensor:
        """[setting, batch, …]: outputs of one stream's members."""
        values = self.program.layout.views(weights)
        values |= self.program.given_buffers(settings, [stream]) | self.program.running_buffers(running)
        together, size = self._pass_size(values, len(settings), stream, rows)
        parts = []
        for first in range(0, max(1, len(rows)), size):
            inputs = self.program.rows(stream, rows[first : first + size])
            answers = [
                self._pass({k: v[a : a + together] for k, v in values.items()}, inputs)
                for a in range(0, len(settings), together)
            ]
            parts.append(answers[0] if len(answers) == 1 else torch.cat(answers))
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def _pass(self, values: dict[str, Tensor], inputs: tuple[Tensor, ...]) -> Tensor:
        """Outputs of these members, one axis of them, on these inputs."""
        if self.mode == "vmapped":
            return self._vmapped(values, inputs)
        if self.mode == "looped":
            values = {k: v[0] for k, v in values.items()}
        else:
            members = len(next(iter(values.values())))
            inputs = tuple(x.expand(members, *x.shape) for x in inputs)
        attach(self.body, values, self.program.aliases)
        output: Tensor = self.body(*inputs)
        return output[None] if self.mode == "looped" else output

    def _vmapped(self, values: dict[str, Tensor], inputs: tuple[Tensor, ...]) -> Tensor:
        def member(values: dict[str, Tensor]) -> Tensor:
            output: Tensor = torch.func.functional_call(self.body, values, inputs)
            return output

        output: Tensor = torch.func.vmap(member)(values)
        return output

    def _pass_size(
        self, values: dict[str, Tensor], settings: int, stream: int, rows: Int[Tensor, " batch"]
    ) -> tuple[int, int]:
        """Settings and rows of one pass."""
        if len(rows) == 0:
            return settings, 1
        if self._cost is None:
            one = {k: v[:1] for k, v in values.items()}
            few, more = (self._made(one, stream, rows[torch.arange(n) % len(rows)]) for n in (_FEW, 2 * _FEW))
            row = max(1, (more - few) // _FEW)
            self._cost = max(0, few - _FEW * row), row
        fixed, row = self._cost
        together = 1 if self.mode == "looped" else min(settings, max(1, PASS_BYTES // (fixed + row)))
        left = PASS_BYTES - together * fixed
        return together, max(1, (left if left > 0 else PASS_BYTES) // (together * row))

    def _made(self, values: dict[str, Tensor], stream: int, rows: Int[Tensor, " batch"]) -> int:
        """Bytes of one member's inputs and answers on these rows, and of what lies between, as a backward pass would
        keep it."""
        inputs = self.program.rows(stream, rows)
        own = {k: v[0].clone().requires_grad_(k in self.program.layout.names) for k, v in values.items()}
        attach(self.body, own, self.program.aliases)
        known = {v.untyped_storage().data_ptr() for v in (*own.values(), *inputs)}
        with torch.enable_grad(), saved_bytes(known) as saved:
            output: Tensor = self.body(*inputs)
        made = sum(saved.values()) + output.numel() * output.element_size()
        return made + sum(x.numel() * x.element_size() for x in inputs)
