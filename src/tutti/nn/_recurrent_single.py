"""Recurrent cells: one step of a recurrent layer, for loops that decide what comes next."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tutti import core
from tutti.nn._recurrent_cells import Cell, SimpleUnit, affine
from tutti.nn._recurrent_gated import GatedUnit, GatedUnitResetBefore, LongShortTerm


class _Single(nn.Module):
    """Parameters of one step, named and started as torch's cells are."""

    stacked = True

    def __init__(self, cell: Cell, inputs: int, hidden: int, bias: bool) -> None:
        super().__init__()
        if min(inputs, hidden) < 1:
            raise core.InputError(f"{inputs} inputs, {hidden} hidden units; expected at least 1 each.")
        self._cell = cell
        self.hidden = hidden
        bound, gates = hidden**-0.5, cell.gates * hidden
        self.weight_ih = nn.Parameter(torch.empty(gates, inputs).uniform_(-bound, bound))
        self.weight_hh = nn.Parameter(torch.empty(gates, hidden).uniform_(-bound, bound))
        self.bias_ih = nn.Parameter(torch.empty(gates).uniform_(-bound, bound)) if bias else None
        self.bias_hh = nn.Parameter(torch.empty(gates).uniform_(-bound, bound)) if bias else None

    def extra_repr(self) -> str:
        return f"{self.weight_ih.shape[-1]} -> {self.hidden}"

    def _step(self, x: Tensor, state: Tensor | None) -> Tensor:
        if x.shape[-1] != self.weight_ih.shape[-1]:
            raise core.InputError(f"The inputs have {x.shape[-1]} features; expected {self.weight_ih.shape[-1]}.")
        if state is None:
            state = x.new_zeros(*x.shape[:-1], self._cell.states * self.hidden)
        gates = affine(x, self.weight_ih, self.bias_ih)
        return self._cell.step(gates, state, self.weight_hh, self.bias_hh)


class ElmanCell(_Single):
    """One step of `Elman`: torch.nn.RNNCell. x [*member, batch, inputs], state [*member, batch, hidden] or 0."""

    def __init__(self, inputs: int, hidden: int, *, activation: str = "tanh", bias: bool = True) -> None:
        if activation not in ("tanh", "relu"):
            raise core.unknown("activation of a recurrent layer", activation, ("tanh", "relu"))
        super().__init__(SimpleUnit(activation), inputs, hidden, bias)

    def forward(
        self, x: Float[Tensor, "*member batch inputs"], state: Float[Tensor, "*member batch hidden"] | None = None
    ) -> Float[Tensor, "*member batch hidden"]:
        return self._step(x, state)


class GRUCell(_Single):
    """One step of `GRU`: torch.nn.GRUCell. x [*member, batch, inputs], state [*member, batch, hidden] or 0."""

    def __init__(self, inputs: int, hidden: int, *, reset: str = "after", bias: bool = True) -> None:
        cells: dict[str, Cell] = {"after": GatedUnit(), "before": GatedUnitResetBefore()}
        if reset not in cells:
            raise core.unknown("place of the reset gate", reset, cells)
        super().__init__(cells[reset], inputs, hidden, bias)

    def forward(
        self, x: Float[Tensor, "*member batch inputs"], state: Float[Tensor, "*member batch hidden"] | None = None
    ) -> Float[Tensor, "*member batch hidden"]:
        return self._step(x, state)


class LSTMCell(_Single):
    """One step of `LSTM`: torch.nn.LSTMCell. x [*member, batch, inputs], state (h, c) of [*member, batch, hidden]."""

    def __init__(self, inputs: int, hidden: int, *, bias: bool = True) -> None:
        super().__init__(LongShortTerm(), inputs, hidden, bias)

    def forward(
        self,
        x: Float[Tensor, "*member batch inputs"],
        state: tuple[Float[Tensor, "*member batch hidden"], Float[Tensor, "*member batch hidden"]] | None = None,
    ) -> tuple[Float[Tensor, "*member batch hidden"], Float[Tensor, "*member batch hidden"]]:
        h, c = self._step(x, None if state is None else torch.cat(state, -1)).chunk(2, -1)
        return h, c
