"""Scaled dot-product attention: what a query takes from the values whose keys it resembles.

Members, samples and heads are all leading axes: attention folds them into one batch, so that a stack of members
costs one call of the same kernel that one network uses.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

from tutti import core

WRITTEN_WIDTH, WRITTEN_LENGTH = 8, 256
"""On a CPU, up to this width of a head and so many queries and keys, softmax(QKᵀ)V by batched products is faster than
torch's fused kernel: 1.5 to 2 times at a width of 8 (forward and backward), 0.8 to 1 times at 16 and more."""

_open: ContextVar[list[Tensor] | None] = ContextVar("tutti_attention_maps", default=None)


@contextmanager
def attention_maps() -> Iterator[list[Tensor]]:
    """While open, collects every attention's weights [*member, batch, head, query, key], in the order of the calls.

    They are the weights before dropout, detached, and each row sums to 1 (to 0 where a query may attend to
    nothing). For looking inside: the weights are written out, which the fused kernel avoids.
    """
    maps: list[Tensor] = []
    token = _open.set(maps)
    try:
        yield maps
    finally:
        _open.reset(token)


def _allowed(
    q: Float[Tensor, "*batch query width"], keys: int, mask: Tensor | None, causal: bool
) -> Bool[Tensor, "..."] | None:
    """The mask and the rule of causality as one mask; query i of n stands at place keys − n + i."""
    if not causal:
        return mask
    order = torch.ones(q.shape[-2], keys, dtype=torch.bool, device=q.device).tril(keys - q.shape[-2])
    return order if mask is None else mask & order


def _bias(q: Tensor, allowed: Tensor | None, bias: Tensor | None) -> Tensor | None:
    """What is added to the scores: the bias, and −∞ where attention is not allowed."""
    if allowed is None:
        return bias
    ground = q.new_zeros(()) if bias is None else bias
    return ground.masked_fill(~allowed, float("-inf"))


def _weights(q: Tensor, k: Tensor, bias: Tensor | None, scale: float) -> Tensor:
    """softmax(scale · q kᵀ + bias), written out."""
    scores = (q * scale) @ k.mT
    return (scores if bias is None else scores + bias).softmax(-1)


class _Written(Function):
    """softmax(s · qᵀ k + bias) on feature-major arrays q, k, v [batch, width, time], there and back by hand.

    With the features first all six products have long rows, which makes them up to three times as fast at a width
    of 8, and the scores are softened in place. A second derivative goes through the formula.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, scale: float) -> Tensor:
        if bias is None:
            scores = torch.baddbmm(q.new_empty(1, 1, 1), q.mT, k, beta=0, alpha=scale)
        else:
            scores = torch.baddbmm(bias, q.mT, k, alpha=scale)
        weights = torch.softmax(scores, -1, out=scores)
        ctx.scale = scale
        ctx.save_for_backward(q, k, v, bias, weights)
        return torch.bmm(v, weights.mT)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, bias, weights = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient itself is to be differentiated

            def formula(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
                return (_weights(q.mT, k.mT, bias, ctx.scale) @ v.mT).mT

            return *torch.func.vjp(formula, q, k, v)[1](grad), None, None
        grad = grad.contiguous()
        slope = torch._softmax_backward_data(torch.bmm(grad.mT, v), weights, -1, weights.dtype)
        none = q.new_empty(1, 1, 1)
        to_q = torch.baddbmm(none, k, slope.mT, beta=0, alpha=ctx.scale)
        to_k = torch.baddbmm(none, q, slope, beta=0, alpha=ctx.scale)
        return to_q, to_k, torch.bmm(grad, weights), None, None


def _written(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, scale: float) -> Tensor:
    """The formula; by hand where the bias is one array for the whole batch or one per element of it."""
    lead = q.shape[:-2]
    if _wrapped(q, k, v, bias) or (bias is not None and bias.requires_grad):
        return _weights(q, k, bias, scale) @ v
    if bias is not None and bias.ndim > 2:
        bias = bias.expand(*lead, *bias.shape[-2:]).reshape(-1, *bias.shape[-2:])
    flat = (z.mT.contiguous().view(-1, z.shape[-1], z.shape[-2]) for z in (q, k, v))
    y: Tensor = _Written.apply(*flat, bias, scale)  # type: ignore[no-untyped-call]
    return y.view(*lead, *y.shape[-2:]).mT


def _wrapped(*given: Tensor | None) -> bool:
    """Whether a transformation of torch.func is under way; torch offers no public question for this."""
    return any(torch._C._functorch.is_functorch_wrapped_tensor(z) for z in given if z is not None)


class _Folded(Function):
    """torch's fused kernel with a rule for torch.func.vmap: the mapped axis joins the batch.

    The rule is made of ordinary operations that differentiate themselves where the backward pass is taken outside
    vmap; taken inside, `backward` goes through the formula.
    """

    @staticmethod
    def forward(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, causal: bool, scale: float) -> Tensor:
        return _kernel(q, k, v, bias, causal, scale)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        *tensors, ctx.causal, ctx.scale = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, bias = ctx.saved_tensors

        def again(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return (_weights(q, k, _bias(q, _allowed(q, k.shape[-2], None, ctx.causal), bias), ctx.scale)) @ v

        return *torch.func.vjp(again, q, k, v)[1](grad), None, None, None

    @staticmethod
    def vmap(info: Any, dims: tuple[int | None, ...], *given: Any) -> tuple[Tensor, int]:
        q, k, v, bias, causal, scale = given
        q, k, v = (
            z.expand(info.batch_size, *z.shape) if dim is None else z.movedim(dim, 0)
            for z, dim in zip((q, k, v), dims, strict=False)
        )
        if bias is not None and dims[3] is not None:
            bias = bias.movedim(dims[3], 0)
            bias = bias.view(bias.shape[0], *(1,) * (q.ndim - bias.ndim), *bias.shape[1:])
        return _fused(q, k, v, bias, causal, scale), 0


def _kernel(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, causal: bool, scale: float) -> Tensor:
    """torch's kernel on [batch, head, time, width]: with any other number of axes it takes its slow route."""
    lead = q.shape[:-2]
    inner = lead[-1:] if lead else (1,)
    q, k, v = (z.reshape(-1, *inner, *z.shape[-2:]) for z in (q, k, v))
    if bias is not None and bias.ndim > 2:
        own = bias.shape[-3:]
        bias = bias.expand(*lead[:-1], *own).reshape(-1, *own) if bias.ndim > 3 else bias
    y = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias, is_causal=causal, scale=scale)
    return y.view(*lead, *y.shape[-2:])


def _fused(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, causal: bool, scale: float) -> Tensor:
    if _wrapped(q, k, v, bias):
        y: Tensor = _Folded.apply(q, k, v, bias, causal, scale)  # type: ignore[no-untyped-call]
        return y
    return _kernel(q, k, v, bias, causal, scale)


def attention(
    q: Float[Tensor, "*batch query width"],
    k: Float[Tensor, "*batch key width"],
    v: Float[Tensor, "*batch key value"],
    *,
    mask: Bool[Tensor, "..."] | None = None,
    bias: Float[Tensor, "..."] | None = None,
    causal: bool = False,
    scale: float | None = None,
    drop: Callable[[Tensor], Tensor] | None = None,
) -> Float[Tensor, "*batch query value"]:
    """softmax(s · q kᵀ + bias) v over the keys (Vaswani et al. 2017, eq. 1).

    Any leading axes: members, samples, heads. `scale` s is 1/√width unless given; 1 is the plain dot product.
    `mask` and `bias` broadcast to [*batch, query, key]. mask: True where a query may attend; a query that may
    attend to nothing gives 0. causal: a query sees no later key; with fewer queries than keys, the queries are the
    last ones (torch's is_causal takes them for the first). `drop` is applied to the weights (attention dropout).

    On a CPU for narrow heads and short sequences (WRITTEN_WIDTH, WRITTEN_LENGTH), where weights are dropped or looked
    at (attention_maps), and where the bias is learned, the formula is written out; otherwise torch's fused kernel
    computes it. That has no second derivative, unless torch.nn.attention.sdpa_kernel(SDPBackend.MATH) is on.
    """
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    square = q.shape[-2] == k.shape[-2]
    maps = _open.get()
    small = q.shape[-1] <= WRITTEN_WIDTH and max(q.shape[-2], k.shape[-2]) <= WRITTEN_LENGTH
    learned = bias is not None and bias.requires_grad
    plain = drop is not None or maps is not None or learned or (small and q.device.type == "cpu")
    if not plain and causal and square and mask is None and bias is None:
        return _fused(q, k, v, None, True, scale)
    allowed = _allowed(q, k.shape[-2], mask, causal)
    nowhere = None
    if mask is not None and allowed is not None:
        nowhere = ~allowed.any(-1, keepdim=True)
        allowed = allowed | nowhere
    added = _bias(q, allowed, bias)
    if not plain:
        y = _fused(q, k, v, added, False, scale)
    elif drop is None and maps is None:
        y = _written(q, k, v, added, scale)
    else:
        weights = _weights(q, k, added, scale)
        if maps is not None:
            seen = weights if nowhere is None else weights.masked_fill(nowhere, 0)
            maps.append(seen.detach())
        y = (weights if drop is None else drop(weights)) @ v
    return y if nowhere is None else y.masked_fill(nowhere, 0)


class KeyValueCache:
    """The keys and values of the steps so far, for generation one step (or a few) at a time.

    Room for `length` steps is taken at the first append; a step's cost then does not grow by copies. One cache
    belongs to one attention layer and one batch. `steps` says how many are held.
    """

    def __init__(self, length: int) -> None:
        if length < 1:
            raise core.InputError(f"A cache for {length} steps; expected at least 1.")
        self.length = length
        self.steps = 0
        self._room: tuple[Tensor, Tensor] | None = None

    def append(
        self, k: Float[Tensor, "*batch key width"], v: Float[Tensor, "*batch key value"]
    ) -> tuple[Tensor, Tensor]:
        """Adds the keys and values of new steps; returns all so far, as views. Not for training: no gradient."""
        end = self.steps + k.shape[-2]
        if end > self.length:
            raise core.InputError(
                f"The cache has room for {self.length} steps and holds {self.steps}; {k.shape[-2]} more were given.",
                fix=f"Make it KeyValueCache({end}) or longer.",
            )
        if self._room is None:
            new_k = k.new_empty(*k.shape[:-2], self.length, k.shape[-1])
            self._room = new_k, v.new_empty(*v.shape[:-2], self.length, v.shape[-1])
        for room, new in zip(self._room, (k, v), strict=True):
            room[..., self.steps : end, :] = new.detach()
        self.steps = end
        return self._room[0][..., :end, :], self._room[1][..., :end, :]
