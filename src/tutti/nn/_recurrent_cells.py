"""What a recurrent cell computes: one step as a formula, and whole sequences by hand, there and back.

`step` is made of ordinary operations, so it differentiates itself. `scan` and `pull` carry P members through T
steps at once: the inputs' share of the gates is one product for all steps; a step is one batched product and a few
elementwise passes into buffers laid out beforehand; backwards, what a step multiplies its gradient by is worked out
for all steps together, and the gradient of the weights is one product at the end.

Letters: P member, T step, B batch, H hidden, G gates · hidden, S states · hidden. An idle step (padding) hands the
state on bit by bit and has no gradient.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional


class Weights(NamedTuple):
    """Of one layer in one direction: ih [*member, G, inputs], hh [*member, G, H], biases [*member, G] or None."""

    ih: Tensor
    hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None

    def as_stack(self) -> "Weights":
        """One member's weights as a stack of one."""
        biases = (None if b is None else b[None] for b in (self.bias_ih, self.bias_hh))
        return Weights(self.ih[None], self.hh[None], *biases)


class Gradients(NamedTuple):
    """What `pull` finds; `gates` is the gradient of ih·x + bias_ih."""

    gates: Float[Tensor, "P T B G"]
    state: Float[Tensor, "P B S"]
    hh: Float[Tensor, "P G H"]
    bias_ih: Float[Tensor, "P G"]
    bias_hh: Float[Tensor, "P G"]


class Walk:
    """A pass over steps, forwards or backwards in time; a cell sees only the order of the pass."""

    def __init__(self, idle: Bool[Tensor, "P T B 1"] | None, *, backwards: bool) -> None:
        self.idle = idle
        self.backwards = backwards

    def steps(self, x: Tensor, axis: int = 1) -> tuple[Tensor, ...]:
        """The slices of x along its time axis, in the order of the pass."""
        parts = x.unbind(axis)
        return parts[::-1] if self.backwards else parts

    def before(self, slots: Float[Tensor, "P slot B H"]) -> Float[Tensor, "P T B H"]:
        """The state that each step begins with."""
        return slots[:, 1:] if self.backwards else slots[:, :-1]

    def after(self, slots: Float[Tensor, "P slot B H"]) -> Float[Tensor, "P T B H"]:
        """The state that each step ends with."""
        return slots[:, :-1] if self.backwards else slots[:, 1:]

    def first(self, slots: Float[Tensor, "P slot B H"]) -> Float[Tensor, "P B H"]:
        """The state that the pass begins with."""
        return slots[:, -1 if self.backwards else 0]

    def last(self, slots: Float[Tensor, "P slot B H"]) -> Float[Tensor, "P B H"]:
        """The state that the pass ends with."""
        return slots[:, 0 if self.backwards else -1]

    def parts(self, steps: int, size: int) -> list[tuple["Walk", slice]]:
        """The pass in parts of up to `size` steps, in its order."""
        spans = [slice(a, min(a + size, steps)) for a in range(0, steps, size)]
        walks = [Walk(None if self.idle is None else self.idle[:, s], backwards=self.backwards) for s in spans]
        parts = list(zip(walks, spans, strict=True))
        return parts[::-1] if self.backwards else parts


class Cell(ABC):
    """One kind of recurrent cell."""

    gates: int
    states: int = 1
    rooms: tuple[int, ...] = ()
    """Widths, in units of H, of what a step leaves behind for `pull`."""

    @abstractmethod
    def step(self, gates: Tensor, state: Tensor, hh: Tensor, bias_hh: Tensor | None) -> Tensor:
        """The next state [*member, batch, S] from ih·x + bias_ih [*member, batch, G] and the state."""

    @abstractmethod
    def scan(
        self, walk: Walk, x: Float[Tensor, "P TB n"], w: Weights, slots: list[Tensor], rooms: list[Tensor]
    ) -> None:
        """Fills in the rooms [T, P, B, …] and, but for the first, the slots [P, T + 1, B, H] of each state."""

    @abstractmethod
    def pull(
        self,
        walk: Walk,
        output: Float[Tensor, "P T B H"],
        last: Float[Tensor, "P B S"],
        w: Weights,
        slots: list[Tensor],
        rooms: list[Tensor],
    ) -> Gradients:
        """All gradients, from those of h after each step and of the last state."""


def affine(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x Wᵀ + b: [batch, n] by [outputs, n], or each with a leading member axis."""
    if weight.ndim == 2:
        y: Tensor = functional.linear(x, weight, bias)
        return y
    return torch.bmm(x, weight.mT) if bias is None else torch.baddbmm(bias.unsqueeze(1), x, weight.mT)


def both_biases(weights: Weights) -> Tensor | None:
    """Their sum: all that counts where both are added at the same place."""
    return None if weights.bias_ih is None or weights.bias_hh is None else weights.bias_ih + weights.bias_hh


def project(x: Float[Tensor, "P TB n"], weight: Tensor, bias: Tensor | None, batch: int) -> Float[Tensor, "P T B G"]:
    """The inputs' share of the gates, for all steps at once."""
    gates: Tensor = affine(x, weight, bias).unflatten(1, (-1, batch))
    return gates


def weight_gradient(gates: Float[Tensor, "P T B G"], inputs: Float[Tensor, "P T B n"]) -> Float[Tensor, "P G n"]:
    """Σ gates ⊗ inputs over all steps and samples."""
    return torch.bmm(inputs.flatten(1, 2).mT, gates.flatten(1, 2)).mT


def sigmoid_(x: Float[Tensor, "P B n"]) -> Float[Tensor, "P B n"]:
    """σ in place. torch rounds the last few numbers of a CPU tensor in another way than whole vectors (of up to 64):
    where a member does not fill them, it would depend on how many others there are; then σ is (1 + tanh(x/2)) / 2."""
    if x.device.type != "cpu" or not x.is_contiguous() or x[0].numel() % 64 == 0:
        return x.sigmoid_()
    return x.div_(2).tanh_().add_(1).div_(2)


class SimpleUnit(Cell):
    """h' = g(W x + b + U h + c), g = tanh or relu (Elman 1990)."""

    gates = 1

    def __init__(self, activation: str) -> None:
        self.relu = activation == "relu"

    def step(self, gates: Tensor, state: Tensor, hh: Tensor, bias_hh: Tensor | None) -> Tensor:
        x = gates + affine(state, hh, bias_hh)
        return x.relu() if self.relu else x.tanh()

    def scan(
        self, walk: Walk, x: Float[Tensor, "P TB n"], w: Weights, slots: list[Tensor], rooms: list[Tensor]
    ) -> None:
        h = walk.steps(slots[0])
        pre = walk.steps(project(x, w.ih, both_biases(w), h[0].shape[1]))
        idle = [None] * len(pre) if walk.idle is None else walk.steps(walk.idle)
        hh, room = w.hh.mT, torch.empty_like(h[0], memory_format=torch.contiguous_format)
        for share, off, old, new in zip(pre, idle, h, h[1:], strict=False):
            torch.baddbmm(share, old, hh, out=room)
            if self.relu:
                torch.clamp(room, min=0, out=new)
            else:
                torch.tanh(room, out=new)
            if off is not None:
                torch.where(off, old, new, out=new)

    def pull(
        self,
        walk: Walk,
        output: Float[Tensor, "P T B H"],
        last: Float[Tensor, "P B S"],
        w: Weights,
        slots: list[Tensor],
        rooms: list[Tensor],
    ) -> Gradients:
        h, before = walk.after(slots[0]), walk.before(slots[0])
        gates = (h > 0).to(h.dtype) if self.relu else 1 - h * h
        idle = None
        if walk.idle is not None:
            gates.masked_fill_(walk.idle, 0)
            idle = walk.steps(walk.idle.to(gates.dtype))[::-1]
        flow = (*walk.steps(output)[::-1], torch.zeros_like(last))
        dh = flow[0] + last
        for t, gate in enumerate(walk.steps(gates)[::-1]):
            gate.mul_(dh)
            carried = torch.baddbmm(flow[t + 1], gate, w.hh)
            dh = carried if idle is None else carried.addcmul_(dh, idle[t])
        bias = gates.sum((1, 2))
        return Gradients(gates, dh, weight_gradient(gates, before), bias, bias.clone())
