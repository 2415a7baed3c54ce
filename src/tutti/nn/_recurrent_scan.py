"""The rule of recurrent layers for the member axis, as functions that autograd and torch.func know.

Under torch.func.vmap the mapped axis joins the members. A second derivative goes through the cell's formula.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd import Function

from tutti.nn._recurrent_cells import Cell, Walk, Weights, affine

PART = 2**15
"""Numbers of one member, where a stack holds about eight."""


def scan(
    cell: Cell,
    x: Float[Tensor, "P T B inputs"],
    idle: Bool[Tensor, "P T B 1"] | None,
    state: Float[Tensor, "P B S"],
    weights: Weights,
    *,
    backwards: bool,
) -> tuple[Float[Tensor, "P T B H"], Float[Tensor, "P B S"]]:
    """One layer in one direction over all steps: h after each step, and the last state.

    A compiler or an export gets the cell's formula.
    """
    if torch.compiler.is_compiling():
        return _formula(cell, Walk(idle, backwards=backwards), x, state, weights)
    output, last, *_ = _Scan.apply(  # type: ignore[no-untyped-call]
        cell, backwards, torch.is_grad_enabled(), x, idle, state, *weights
    )
    return output, last


def _flat(x: Float[Tensor, "P T B n"]) -> Float[Tensor, "P TB n"]:
    """Steps and batch as one axis; what all members share is laid out once."""
    if len(x) > 1 and x.stride(0) == 0:
        return x[:1].flatten(1, 2).expand(len(x), -1, -1)
    return x.flatten(1, 2)


def _part(x: Tensor, w: Weights) -> int:
    """Steps worked on at once: what a processor's cache holds; all of them on another device.

    In a stack it does not depend on the number of members: sums are taken part by part.
    """
    if x.device.type != "cpu":
        return x.shape[1]
    return max(1, (PART if len(x) > 1 else 8 * PART) // max(1, x.shape[2] * w.hh.shape[1]))


def exact(x: Tensor) -> AbstractContextManager[object]:
    """No autocast inside: a recurrence would pile up the rounding, and its buffers are of one type."""
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()


class _Scan(Function):
    """Forward: the cell's `scan`, part by part."""

    @staticmethod
    def forward(cell: Cell, backwards: bool, keep: bool, *tensors: Any) -> tuple[Tensor, ...]:
        x, idle, state, *rest = tensors
        (P, T, B, _), w = x.shape, Weights(*rest)
        H = w.hh.shape[-1]
        walk, size = Walk(idle, backwards=backwards), _part(x, w)
        slots = [state.new_empty(P, T + 1, B, H) for _ in range(cell.states)]
        for slot, start in zip(slots, state.chunk(cell.states, -1), strict=True):
            walk.first(slot).copy_(start)
        steps = T if keep else min(size, T)
        sizes = [steps * P * B * n * H for n in cell.rooms]
        rooms = [room.view(steps, P, B, -1) for room in state.new_empty(sum(sizes)).split(sizes)]
        for part, span in walk.parts(T, size):
            there = span if keep else slice(span.stop - span.start)
            inside = [slot[:, span.start : span.stop + 1] for slot in slots]
            cell.scan(part, _flat(x[:, span]), w, inside, [room[there] for room in rooms])
        last = torch.cat([walk.last(slot) for slot in slots], -1)
        return walk.after(slots[0]), last, *slots, *(room.transpose(0, 1) for room in rooms)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.cell, ctx.backwards, _, *tensors = inputs
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*output[2:])
        ctx.save_for_backward(*tensors, *output[2:])

    @staticmethod
    def backward(ctx: Any, d_output: Tensor | None, d_last: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
        x, idle, state, *rest = ctx.saved_tensors
        wants_x = ctx.needs_input_grad[3]
        if d_output is None:
            d_output = x.new_zeros(()).expand(*x.shape[:-1], rest[1].shape[-1])
        if d_last is None:
            d_last = torch.zeros_like(state)
        dx, d_state, *d_weights = _Pull.apply(  # type: ignore[no-untyped-call]
            ctx.cell, ctx.backwards, wants_x, d_output, d_last, x, idle, state, *rest
        )
        return None, None, None, dx, None, d_state, *d_weights

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Any, Any]:
        return _fold(_Scan.apply, info.batch_size, in_dims, args)


class _Pull(Function):
    """Backward: the cell's `pull`, part by part, and what follows for the inputs and their weights."""

    @staticmethod
    def forward(cell: Cell, backwards: bool, wants_x: bool, *tensors: Any) -> tuple[Tensor | None, ...]:
        output, carried, x, idle, _, *rest = tensors
        w, T = Weights(*rest[:4]), x.shape[1]
        slots, rooms = rest[4 : 4 + cell.states], [room.transpose(0, 1) for room in rest[4 + cell.states :]]
        walk, size = Walk(idle, backwards=backwards), _part(x, w)
        dx = torch.empty_like(x, memory_format=torch.contiguous_format) if wants_x else None
        total: list[Tensor] = []
        with exact(x):
            for part, span in reversed(walk.parts(T, size)):
                inside = [slot[:, span.start : span.stop + 1] for slot in slots]
                found = cell.pull(part, output[:, span], carried, w, inside, [room[span] for room in rooms])
                carried, gates = found.state, found.gates.flatten(1, 2)
                if dx is not None:
                    dx[:, span] = torch.bmm(gates, w.ih).unflatten(1, (-1, x.shape[2]))
                sums = [torch.bmm(_flat(x[:, span]).mT, gates), found.hh]
                sums += [] if w.bias_ih is None else [found.bias_ih, found.bias_hh]
                total = [a.add_(b) for a, b in zip(total, sums, strict=True)] if total else sums
        ih, hh, *biases = total
        return dx, carried, ih.mT, hh, *(biases or (None, None))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor | None, ...]) -> None:
        ctx.cell, ctx.backwards, _, *tensors = inputs
        ctx.save_for_backward(*tensors[:9])
        ctx.unused = len(tensors) - 9

    @staticmethod
    def backward(ctx: Any, *seconds: Tensor | None) -> tuple[Tensor | None, ...]:
        d_output, d_last, x, idle, state, *weights = ctx.saved_tensors
        given = {k: v for k, v in enumerate((x, state, *weights)) if v is not None}

        def formula(given: dict[int, Tensor]) -> tuple[Tensor, Tensor]:
            weights = Weights(given[2], given[3], given.get(4), given.get(5))
            return _formula(ctx.cell, Walk(idle, backwards=ctx.backwards), given[0], given[1], weights)

        def first(given: dict[int, Tensor], *grads: Tensor) -> dict[int, Tensor]:
            pull: Callable[..., tuple[dict[int, Tensor]]] = torch.func.vjp(formula, given)[1]
            return pull(grads)[0]

        pull: Callable[..., tuple[Any, ...]] = torch.func.vjp(first, given, d_output, d_last)[1]
        wanted = {k: torch.zeros_like(v) if seconds[k] is None else seconds[k] for k, v in given.items()}
        found, dd_output, dd_last = pull(wanted)
        dx, d_state, *d_weights = (found.get(k) for k in range(6))
        return None, None, None, dd_output, dd_last, dx, None, d_state, *d_weights, *([None] * ctx.unused)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Any, Any]:
        return _fold(_Pull.apply, info.batch_size, in_dims, args)


def _formula(cell: Cell, walk: Walk, x: Tensor, state: Tensor, w: Weights) -> tuple[Tensor, Tensor]:
    """What `_Scan` computes, in ordinary operations."""
    shares = walk.steps(affine(x.flatten(1, 2), w.ih, w.bias_ih).unflatten(1, x.shape[1:3]))
    outputs = []
    for t, share in enumerate(shares):
        new = cell.step(share, state, w.hh, w.bias_hh)
        state = new if walk.idle is None else torch.where(walk.steps(walk.idle)[t], state, new)
        outputs.append(state[..., : w.hh.shape[-1]])
    return torch.stack(walk.steps(torch.stack(outputs), 0), 1), state


def _fold(
    function: Callable[..., tuple[Any, ...]], size: int, in_dims: tuple[int | None, ...], args: tuple[Any, ...]
) -> tuple[tuple[Any, ...], tuple[int | None, ...]]:
    """The mapped axis becomes part of the member axis, which leads in every tensor."""

    def join(x: Any, axis: int | None) -> Any:
        if not isinstance(x, Tensor):
            return x
        return (x.expand(size, *x.shape) if axis is None else x.movedim(axis, 0)).flatten(0, 1)

    found = function(*map(join, args, in_dims))
    parts = tuple(None if x is None else x.unflatten(0, (size, -1)) for x in found)
    return parts, tuple(None if x is None else 0 for x in parts)
