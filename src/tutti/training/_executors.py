"""Executors: how the members of a population are carried through one forward and backward pass.

stacked   every layer treats a leading member axis itself (no overhead per layer)
vmapped   torch.func.vmap carries any other module
looped    one member after another, with the plain module and torch's fused kernels

All three write into the same flat gradient, so that the optimiser step is one code for all of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from math import ceil
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from tutti.core import Setting, draw_uniform, mixing, partners, penalties, random_keys
from tutti.training._plan import ExecutorName, Precision, part_rows
from tutti.training._program import Program

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.Identity)
_ELEMENTWISE = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Softsign, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish),
)


def stacks(module: nn.Module) -> bool:
    """Whether every part of a module treats a leading member axis itself.

    A part does if its class says `stacked = True`, if it only holds others, or if it is one of torch's
    elementwise activations.
    """
    return all(
        getattr(type(part), "stacked", False) or isinstance(part, (*_CONTAINERS, *_ELEMENTWISE))
        for part in module.modules()
    )


class _OwnDropout(TorchFunctionMode):
    """Replaces F.dropout inside any module by masks that belong to the member."""

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        kwargs = kwargs or {}
        if func is F.dropout:
            return _keyed_dropout(*args, **kwargs)
        return func(*args, **kwargs)


def _keyed_dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:  # noqa: A002
    if not training or p == 0:
        return input
    return torch.where(draw_uniform(input) < p, 0.0, input / (1 - p))


_Passed = tuple[Tensor, list[Tensor], list[Tensor]]


class Group:
    """Consecutive members that one pass carries: whole settings × all streams, or a single member.

    Its body's parameters are leaves that view the population's flat weights; its gradient is written into
    the population's flat gradient.
    """

    def __init__(
        self,
        program: Program,
        settings: Sequence[Setting],
        streams: Sequence[int],
        mode: ExecutorName,
        draws: bool = False,
        precision: Precision = "float32",
    ) -> None:
        self.program = program
        self.settings = settings
        self.streams = streams
        self.mode = mode
        self.draws = draws
        self.precision = precision
        self.members = len(settings) * len(streams)
        self.body = program.body().train()
        self.buffers = program.given_buffers(settings, streams)
        smoothing = [s.label_smoothing for s in settings for _ in streams]
        device = program.problem.target.device
        self._smoothing = torch.tensor(smoothing, device=device) if any(smoothing) else None
        self._leaves: list[Tensor] = []
        self._unused = mode != "stacked"  # a module of the user's may hold parameters that it does not use
        self._own_masks = mode != "stacked" and _may_drop(self.body)

    def bind(
        self,
        weights: Float[Tensor, "member weights"],
        gradient: Float[Tensor, "member weights"],
        running: Float[Tensor, "member numbers"],
        counters: Int[Tensor, "member counts"],
    ) -> None:
        """Points the body's parameters and running buffers at these rows of the population's storage."""
        if self.mode == "looped":
            weights, gradient, running, counters = weights[0], gradient[0], running[0], counters[0]
            self.buffers = {k: v[0] for k, v in self.buffers.items()}
            if self._smoothing is not None:
                self._smoothing = self._smoothing[0]
        self._running = self.program.running_buffers(running, counters)
        # torch's rule for batch norm under vmap writes into a copy of whatever is not contiguous
        loose = {name: view.clone() for name, view in self._running.items()} if self.mode == "vmapped" else {}
        self.buffers |= loose or self._running
        views = self.program.layout.views(weights)
        leaves = {name: view.detach().requires_grad_() for name, view in views.items()}
        self._leaves = list(leaves.values())
        self._gradient = gradient
        self._slots = list(self.program.layout.views(gradient).values())
        self._padding = gradient[..., self.program.layout.used :]
        if self.mode != "vmapped":
            attach(self.body, leaves | self.buffers, self.program.aliases)

    @property
    def written(self) -> tuple[Tensor, ...]:
        """All that a pass writes: the flat gradient, and the running buffers."""
        return (self._gradient, *self._running.values())

    def gradient(
        self,
        inputs: tuple[Tensor, ...],
        target: Tensor,
        weights: Tensor | None,
        keys: Int[Tensor, " stream"],
        micro: int = 1,
        first_row: int = 0,
    ) -> Float[Tensor, " member"]:
        """Each member's mean loss on its stream's batch; the gradient lands in the flat gradient.

        micro: the batch is cut into that many parts, one after another; their gradients add up, each weighted by
        its share of the rows, and rows draw the same random numbers as in one piece. first_row: the place in the
        whole batch of the first of these rows, where they are a part of it.
        """
        if micro == 1:
            return self._backward(inputs, target, weights, keys, first_row)
        rows = target.shape[1]
        size = part_rows(rows, micro)
        total, loss = torch.zeros_like(self._gradient), target.new_zeros(self.members, dtype=self._gradient.dtype)
        for first in range(0, rows, size):
            part = slice(first, min(first + size, rows))
            share = (part.stop - first) / rows
            mine = None if weights is None else weights[:, part]
            loss = loss + share * self._backward(
                tuple(x[:, part] for x in inputs), target[:, part], mine, keys, first_row + first
            )
            total.add_(self._gradient, alpha=share)
        self._gradient.copy_(total)
        return loss

    def _backward(
        self,
        inputs: tuple[Tensor, ...],
        target: Tensor,
        weights: Tensor | None,
        keys: Int[Tensor, " stream"],
        first_row: int = 0,
    ) -> Float[Tensor, " member"]:
        inputs, target = tuple(self._spread(x) for x in inputs), self._spread(target)
        key = keys[self.streams[0]] if self.mode == "looped" else keys
        output, extra, shares = self._forward(inputs, key, first_row)
        loss = self.losses(output, target, None if weights is None else self._spread(weights), shares)
        for term in extra:
            loss = loss + term
        self._differentiate(loss if self.mode == "looped" else loss.sum())
        self._padding.zero_()  # the rules may have written there
        return loss.detach().reshape(-1)

    def _differentiate(self, total: Float[Tensor, ""]) -> None:
        """Writes the gradient of a sum of losses into the flat gradient."""
        grads = torch.autograd.grad(total, self._leaves, allow_unused=self._unused, materialize_grads=self._unused)
        # A weight's gradient comes transposed: copied once, into its place; a concatenation would copy it twice.
        torch._foreach_copy_(self._slots, grads)

    def _forward(self, inputs: tuple[Tensor, ...], key: Tensor, first_row: int) -> _Passed:
        """The members' outputs, the terms that layers add to their losses, the shares by which rows are mixed.

        In bfloat16, torch.autocast says what is rounded: the factors of products and convolutions.
        """
        rounded = self.precision == "bfloat16"
        with torch.autocast(self._gradient.device.type, torch.bfloat16) if rounded else nullcontext():
            output, extra, shares = self._computed(inputs, key, first_row)
        return (output.to(self._gradient.dtype) if rounded else output), extra, shares

    def _computed(self, inputs: tuple[Tensor, ...], key: Tensor, first_row: int) -> _Passed:
        if self.mode == "vmapped":
            return self._forward_vmapped(inputs, key, first_row)
        own_masks = _OwnDropout() if self._own_masks else nullcontext()
        own_draws = _torch_seed(key, first_row) if self.draws else nullcontext()
        with penalties() as extra, mixing() as shares, random_keys(key, first_row), own_masks, own_draws:
            output: Tensor = self.body(*inputs)
        if self._unused:
            self._keep_rebound()
        return output, extra, shares

    def _keep_rebound(self) -> None:
        """Takes over the buffers that a user's forward has bound to new tensors (self.mean = …)."""
        for name, view in self._running.items():
            now = self.body.get_buffer(name)
            if now is not view:
                view.copy_(now.detach())
                attach(self.body, {name: view})

    def _forward_vmapped(self, inputs: tuple[Tensor, ...], key: Tensor, first_row: int) -> _Passed:
        def member(values: dict[str, Tensor], key: Tensor, *inputs: Tensor) -> _Passed:
            with penalties() as extra, mixing() as shares, random_keys(key, first_row), _OwnDropout():
                output: Tensor = torch.func.functional_call(self.body, values, inputs)
            return output, extra, shares

        values = dict(zip(self.program.layout.names, self._leaves, strict=True)) | self.buffers
        keys = key.repeat(len(self.settings))
        for name, view in self._running.items():
            self.buffers[name].copy_(view)
        result: _Passed = torch.func.vmap(member, randomness="error")(values, keys, *inputs)
        for name, view in self._running.items():
            view.copy_(self.buffers[name])
        return result

    def _spread(self, x: Tensor) -> Tensor:
        """[stream, batch, …] to [member, batch, …]: every setting sees the same rows."""
        if self.mode == "looped":
            return x[self.streams[0]]
        if len(self.settings) == 1:
            return x
        return x.expand(len(self.settings), *x.shape).reshape(self.members, *x.shape[1:])

    def losses(
        self, output: Tensor, target: Tensor, weights: Tensor | None = None, shares: Sequence[Tensor] = ()
    ) -> Float[Tensor, "*member"]:
        """Each member's mean loss, without the terms that layers add; of mixed rows with each partner's target as
        well."""
        batch = 0 if self.mode == "looped" else 1
        if not shares:
            return self._mean_loss(output, target, weights, batch)
        other = partners(target.shape[batch], target.device)
        share = shares[0]
        for again in shares[1:]:
            share = again * share + (1 - again) * (1 - share.index_select(-1, other))
        own, theirs = share, 1 - share
        if weights is not None:
            own, theirs = own * weights, theirs * weights.index_select(-1, other)
        of_partner = self._mean_loss(output, target.index_select(batch, other), theirs, batch)
        return self._mean_loss(output, target, own, batch) + of_partner

    def _mean_loss(
        self, output: Tensor, target: Tensor, weights: Tensor | None, batch: int
    ) -> Float[Tensor, "*member"]:
        k = self.program.replicas
        if k > 1:
            output = rearrange(output, "... batch k out -> ... (batch k) out")
            target = target.repeat_interleave(k, dim=batch)
            weights = None if weights is None else weights.repeat_interleave(k, dim=-1)
        loss: Tensor = self.program.problem.loss(output, target, label_smoothing=self._smoothing)
        return loss.mean(-1) if weights is None else (loss * weights).mean(-1)


@contextmanager
def _torch_seed(key: Tensor, first_row: int) -> Iterator[None]:
    """Torch's own generators seeded from a member's key of the step and the part of the batch; as they were
    afterwards."""
    with torch.random.fork_rng(devices=[key.device] if key.device.type == "cuda" else []):
        torch.manual_seed((int(key) + first_row) & 0xFFFFFFFF)
        yield


def _may_drop(module: nn.Module) -> bool:
    """Whether a module may call F.dropout itself: any that is not known to stack, nor a plain linear layer."""
    plain = (*_CONTAINERS, *_ELEMENTWISE, nn.Linear)
    return any(not getattr(type(m), "stacked", False) and not isinstance(m, plain) for m in module.modules())


def attach(body: nn.Module, values: Mapping[str, Tensor], aliases: Mapping[str, str] | None = None) -> None:
    """Makes these tensors the parameters and buffers of a body, without a copy or a check of shapes.

    aliases: second names of parameters, which get the tensor of the first.
    """
    tied = {other: values[name] for other, name in (aliases or {}).items()}
    for name, value in {**values, **tied}.items():
        path, _, leaf = name.rpartition(".")
        part = body.get_submodule(path)
        table: dict[str, Any] = part._parameters if leaf in part._parameters else part._buffers
        table[leaf] = value


def make_groups(
    program: Program,
    settings: Sequence[Setting],
    mode: ExecutorName,
    stack: int,
    draws: bool = False,
    precision: Precision = "float32",
) -> list[Group]:
    """The groups of a population, in the order of its members (settings × streams, streams fastest)."""
    streams = range(program.streams)
    if mode == "looped":
        return [Group(program, [s], [f], mode, draws, precision) for s in settings for f in streams]
    passes = ceil(len(settings) / max(1, stack // program.streams))
    size = ceil(len(settings) / passes)  # alike, rather than full ones and a rest
    return [
        Group(program, settings[a : a + size], streams, mode, draws, precision) for a in range(0, len(settings), size)
    ]
