"""What passes along edges: gathered from nodes, weighted, and summed, averaged or maximised where it arrives.

Every function here takes any leading axes: [*lead, node, feature], [*lead, edge]. A leading axis is one more copy of
the graph: one pass of torch's embedding-bag kernel (a sparse matrix product that reads its rows in the order of the
sums, with no array of messages in between, and on the CPU 10 to 50 times as fast as index_add) carries them all.
Each is differentiable as often as one likes, because the gradient of each is another of them, and has a rule for
torch.func.vmap. Where the members have edges of their own (Edges.members), the axis before `node` or `edge` is
theirs; it may be a multiple of the edges' (several settings see the same graphs, one block of members each).
"""

import inspect
from math import prod
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.autograd import Function

from tutti import core
from tutti.nn._edges import BLOCK_ENTRIES, SOURCE, TARGET, Edges

DOT_NUMBERS = 2**21
"""`dot` gathers rows of at most so many numbers at once (8 MB): they stay near the processor."""


def _batched_first(info: Any, dim: int | None, x: Tensor) -> Tensor:
    """vmap's axis at the front; a tensor without it is expanded."""
    return x.expand(info.batch_size, *x.shape) if dim is None else x.movedim(dim, 0)


def _sum_bags(x: Tensor, weight: Tensor | None, edges: Edges, what: str, end: int) -> Tensor:
    """[*lead, rows, feature] -> [*lead, nodes at `end`, feature]; weight [*lead, edge] or [edge]."""
    lead, nodes = x.shape[:-2], edges.nodes(end)
    copies, rows, features = prod(lead), x.shape[-2], x.shape[-1]
    if copies == 0 or nodes == 0 or features == 0 or edges.count == 0:
        return x.new_zeros(*lead, nodes, features)
    order = edges.order(end)
    if weight is not None:
        weight = weight.to(x.dtype) if order is None else weight.to(x.dtype).index_select(-1, order)
        weight = weight.expand(*lead, edges.count).reshape(-1)
    flat = x.reshape(copies * rows, features)
    at_once = max(1, min(copies, BLOCK_ENTRIES // edges.count))
    places, begins = edges.bags(what, at_once)
    parts = []
    for first in range(0, copies, at_once):
        last = min(first + at_once, copies)
        chosen = places[: (last - first) * edges.count], begins[: (last - first) * nodes + 1]
        part = weight if weight is None else weight[first * edges.count : last * edges.count]
        parts.append(torch.embedding_bag(flat[first * rows : last * rows], *chosen, False, 0, False, part, True)[0])
    summed = parts[0] if len(parts) == 1 else torch.cat(parts)
    return summed.view(*lead, nodes, features)


class _Propagate(Function):
    """y[t] = Σ w[e] x[s] over the edges e from s to t."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor | None, edges: Edges) -> Tensor:
        return _sum_bags(x, weight, edges, "sources", TARGET)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, ctx.edges = inputs
        ctx.save_for_backward(x if weight is not None and weight.requires_grad else None, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        to_x, to_weight, _ = ctx.needs_input_grad
        gx = _apply(_Propagate, grad, weight, ctx.edges.flipped) if to_x else None
        if not to_weight:
            return gx, None, None
        gw = _apply(_Dot, x, grad, ctx.edges)
        return gx, gw if weight.ndim > 1 else gw.reshape(-1, gw.shape[-1]).sum(0), None

    @staticmethod
    def vmap(info: Any, dims: tuple[Any, ...], x: Tensor, weight: Tensor | None, edges: Edges) -> tuple[Tensor, int]:
        if weight is not None and dims[1] is not None:
            weight = weight.movedim(dims[1], 0)
            lead = x.ndim - 2 - (dims[0] is not None)
            if weight.ndim == 2:  # one weight per edge for all of a copy's leading axes
                weight = weight.view(-1, *(1,) * lead, weight.shape[-1])
        x = _batched_first(info, dims[0], x)
        if weight is not None and weight.ndim > 1:
            weight = weight.expand(*x.shape[:-2], -1)
        return _apply(_Propagate, x, weight, edges), 0


class _Dot(Function):
    """w[e] = x[s] · y[t] for the edges e from s to t."""

    @staticmethod
    def forward(x: Tensor, y: Tensor, edges: Edges) -> Tensor:
        source, target = edges.index
        lead = x.shape[:-2]
        if edges.count == 0 or x.numel() == 0:
            return x.new_zeros(*lead, edges.count)
        x, y = x.reshape(-1, *x.shape[-2:]), y.reshape(-1, *y.shape[-2:])
        size = max(1, DOT_NUMBERS // max(1, edges.count * x.shape[-1]))
        parts = [
            torch.linalg.vecdot(a.index_select(1, source), b.index_select(1, target))
            for a, b in zip(x.split(size), y.split(size), strict=True)
        ]
        return torch.cat(parts).view(*lead, edges.count)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, y, ctx.edges = inputs
        ctx.save_for_backward(x, y)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, y = ctx.saved_tensors
        to_x, to_y, _ = ctx.needs_input_grad
        gx = _apply(_Propagate, y, grad, ctx.edges.flipped) if to_x else None
        return gx, _apply(_Propagate, x, grad, ctx.edges) if to_y else None, None

    @staticmethod
    def vmap(info: Any, dims: tuple[Any, ...], x: Tensor, y: Tensor, edges: Edges) -> tuple[Tensor, int]:
        return _apply(_Dot, _batched_first(info, dims[0], x), _batched_first(info, dims[1], y), edges), 0


class _Gather(Function):
    """m[e] = x[v] for the node v at one end of each edge e."""

    @staticmethod
    def forward(x: Tensor, edges: Edges, end: int) -> Tensor:
        return x.index_select(-2, edges.index[end])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, ctx.edges, ctx.end = inputs

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return _apply(_Scatter, grad, ctx.edges, ctx.end), None, None

    @staticmethod
    def vmap(info: Any, dims: tuple[Any, ...], x: Tensor, edges: Edges, end: int) -> tuple[Tensor, int]:
        return _apply(_Gather, _batched_first(info, dims[0], x), edges, end), 0


class _Scatter(Function):
    """y[v] = Σ m[e] over the edges e of the node v at one end."""

    @staticmethod
    def forward(messages: Tensor, edges: Edges, end: int) -> Tensor:
        return _sum_bags(messages, None, edges, "of source" if end == SOURCE else "of target", end)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, ctx.edges, ctx.end = inputs

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return _apply(_Gather, grad, ctx.edges, ctx.end), None, None

    @staticmethod
    def vmap(info: Any, dims: tuple[Any, ...], messages: Tensor, edges: Edges, end: int) -> tuple[Tensor, int]:
        return _apply(_Scatter, _batched_first(info, dims[0], messages), edges, end), 0


class _Peak(Function):
    """The largest message that arrives at each node, 0 where none does. Equal ones share the gradient."""

    @staticmethod
    def forward(messages: Tensor, edges: Edges) -> Tensor:
        lead, features = messages.shape[:-2], messages.shape[-1]
        order = edges.order(TARGET)
        if order is not None:
            messages = messages.index_select(-2, order)
        begin = edges.begin(TARGET)
        if prod(messages.shape) == 0:
            return messages.new_zeros(*lead, edges.targets, features)
        flat = messages.reshape(-1, *messages.shape[-2:])
        offsets = begin.expand(len(flat), -1).contiguous()
        top = torch.segment_reduce(flat, "max", offsets=offsets, axis=1, unsafe=True)
        return top.masked_fill_(begin.diff().eq(0)[:, None], 0.0).view(*lead, edges.targets, features)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        messages, ctx.edges = inputs
        ctx.save_for_backward(messages, output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        messages, top = ctx.saved_tensors
        best = (messages == top.index_select(-2, ctx.edges.index[TARGET])).to(grad.dtype)
        among = _apply(_Scatter, best, ctx.edges, TARGET).clamp(min=1)
        return best * _apply(_Gather, grad / among, ctx.edges, TARGET), None

    @staticmethod
    def vmap(info: Any, dims: tuple[Any, ...], messages: Tensor, edges: Edges) -> tuple[Tensor, int]:
        return _apply(_Peak, _batched_first(info, dims[0], messages), edges), 0


for _function in (_Propagate, _Dot, _Gather, _Scatter, _Peak):
    # torch asks for the signature at every call, which is dear to find out: with this it is looked up.
    _function.forward.__signature__ = inspect.signature(_function.forward)  # type: ignore[union-attr]


def _apply(function: type[Function], *given: Any) -> Tensor:
    result: Tensor = function.apply(*given)
    return result


def _rows(x: Tensor, edges: Edges) -> Tensor:
    """[*lead, member, node, feature] -> [*lead, own·node, feature] where members have their own edges.

    Where there are more members than such graphs, these hold for one block of members after another: the blocks
    become a leading axis.
    """
    if edges.members is None:
        return x
    if x.shape[-3] != edges.members:
        x = x.unflatten(-3, (-1, edges.members))
    return x.flatten(-3, -2)


def _numbers(x: Tensor, edges: Edges) -> Tensor:
    """`_rows` for one number an edge: [*lead, member, edge]."""
    if edges.members is None:
        return x
    if x.shape[-2] != edges.members:
        x = x.unflatten(-2, (-1, edges.members))
    return x.flatten(-2)


def _by_member(y: Tensor, edges: Edges, nodes: int, blocks: bool) -> Tensor:
    """What `_rows` has joined, apart again: [*lead, own·node, feature] -> [*lead, member, node, feature]."""
    if edges.members is None:
        return y
    y = y.unflatten(-2, (edges.members, nodes))
    return y.flatten(-4, -3) if blocks else y


def _blocks(x: Tensor, edges: Edges, axis: int = -3) -> bool:
    """Whether more members than the edges have graphs for stand on that axis."""
    return edges.members is not None and x.shape[axis] != edges.members


def for_members(values: Shaped[Tensor, "own ..."], edges: Edges, members: int) -> Shaped[Tensor, "member ..."]:
    """What is known of each of the edges' own graphs, block after block for all members."""
    if edges.members is None or len(values) == members:
        return values
    return values.repeat(members // edges.members, *(1,) * (values.ndim - 1))


def gather(x: Float[Tensor, "*lead node feature"], edges: Edges, end: int) -> Float[Tensor, "*lead edge feature"]:
    """The row of x of each edge's node at that end (SOURCE or TARGET)."""
    found = _apply(_Gather, _rows(x, edges), edges.union, end)
    return _by_member(found, edges, edges.count, _blocks(x, edges))


def scatter(
    messages: Float[Tensor, "*lead edge feature"], edges: Edges, end: int = TARGET
) -> Float[Tensor, "*lead node feature"]:
    """The sum of the messages of each node's edges at that end; 0 where it has none."""
    summed = _apply(_Scatter, _rows(messages, edges), edges.union, end)
    return _by_member(summed, edges, edges.nodes(end), _blocks(messages, edges))


def propagate(
    x: Float[Tensor, "*given source feature"], edges: Edges, weight: Float[Tensor, "*some edge"] | None = None
) -> Float[Tensor, "*lead target feature"]:
    """y[t] = Σ w[e] x[s] over the edges e from s to t: the sparse matrix of the edges times x.

    x and weight may lack leading axes that the other has: they then hold for all copies. weight None is 1.
    """
    rows = _rows(x, edges)
    flat = None if weight is None else _numbers(weight, edges)
    if flat is not None and flat.ndim > 1:
        lead = torch.broadcast_shapes(rows.shape[:-2], flat.shape[:-1])
        rows, flat = rows.expand(*lead, *rows.shape[-2:]), flat.expand(*lead, -1)
    summed = _apply(_Propagate, rows, flat, edges.union)
    blocks = _blocks(x, edges) or (weight is not None and weight.ndim > 1 and _blocks(weight, edges, -2))
    return _by_member(summed, edges, edges.targets, blocks)


def dot(
    x: Float[Tensor, "*lead source feature"], y: Float[Tensor, "*lead target feature"], edges: Edges
) -> Float[Tensor, "*lead edge"]:
    """x[s] · y[t] for each edge from s to t."""
    found = _apply(_Dot, _rows(x, edges), _rows(y, edges), edges.union)
    return _by_member(found.unsqueeze(-1), edges, edges.count, _blocks(x, edges)).squeeze(-1)


def peak(messages: Float[Tensor, "*lead edge feature"], edges: Edges) -> Float[Tensor, "*lead target feature"]:
    """The largest message that arrives at each node, feature by feature; 0 where none arrives."""
    top = _apply(_Peak, _rows(messages, edges), edges.union)
    return _by_member(top, edges, edges.targets, _blocks(messages, edges))


def edge_softmax(
    scores: Float[Tensor, "*lead edge"], edges: Edges, weight: Float[Tensor, "*some edge"] | None = None
) -> Float[Tensor, "*lead edge"]:
    """w[e] exp(s[e]) / Σ w exp(s) over the edges that arrive at the same node: weights that add up to 1 there.

    The largest score of each node is taken away first. weight (None: 1) must not be negative; an edge of weight 0 is
    absent, and a node all of whose edges are gets 0 from each.
    """
    column = scores.unsqueeze(-1)
    if weight is not None:
        weight = weight.unsqueeze(-1)
        column = column.masked_fill(weight == 0, -torch.inf)
    top = peak(column.detach(), edges)
    share = (column - gather(torch.where(top == -torch.inf, 0.0, top), edges, TARGET)).exp()
    if weight is not None:
        share = share * weight
    total = gather(scatter(share, edges), edges, TARGET)
    return (share / total.clamp(min=torch.finfo(share.dtype).tiny)).squeeze(-1)


AGGREGATIONS = ("sum", "mean", "max")


def aggregate(
    messages: Float[Tensor, "*lead edge feature"],
    edges: Edges,
    how: str = "sum",
    weight: Float[Tensor, "*some edge"] | None = None,
) -> Float[Tensor, "*lead target feature"]:
    """The messages that arrive at each node as one: their (weighted) sum, their (weighted) mean, or the largest,
    feature by feature (an edge of weight 0 is absent). A node at which none arrives gets 0."""
    if how not in AGGREGATIONS:
        raise core.unknown("aggregation", how, AGGREGATIONS)
    if how == "max":
        if weight is not None:
            messages = messages.masked_fill((weight == 0).unsqueeze(-1), -torch.inf)
        top = peak(messages, edges)
        return top if weight is None else torch.where(top == -torch.inf, 0.0, top)
    weighted = messages if weight is None else messages * weight.unsqueeze(-1)
    summed = scatter(weighted, edges)
    return summed if how == "sum" else summed / arrived(edges, weight, summed)


def arrived(
    edges: Edges, weight: Float[Tensor, "*some edge"] | None, like: Float[Tensor, "*lead target feature"]
) -> Float[Tensor, "*some target 1"]:
    """What a mean divides by: how many edges arrive at each node, or the sum of their weights; 1 where that is 0."""
    if weight is None:
        degree = edges.degree if edges.members is None else for_members(edges.degree, edges, like.shape[-3])
        return degree.clamp(min=1).to(like.dtype).unsqueeze(-1)
    total = scatter(weight.to(like.dtype).unsqueeze(-1), edges)
    return torch.where(total == 0, 1.0, total)
