"""Recurrent layers over sequences of any length: Elman, GRU, LSTM; deep, in both directions, truncated."""

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from tutti import core
from tutti.nn._recurrent_cells import Cell, SimpleUnit, Weights
from tutti.nn._recurrent_fused import Kernel, fused
from tutti.nn._recurrent_gated import GatedUnit, GatedUnitResetBefore, LongShortTerm
from tutti.nn._recurrent_scan import exact, scan
from tutti.nn._regularise import Dropout

SMALL = 2**13
"""Steps · batch · hidden up to which a stack's own rule beats oneDNN's LSTM member by member."""


class _Recurrent(nn.Module):
    """What the recurrent layers share: parameters, layers, directions, lengths, windows.

    Inside, a state is one tensor [*member, layer, batch, S], for the LSTM h and c side by side.
    """

    stacked = True

    def __init__(
        self,
        cell: Cell,
        kernel: Kernel | None,
        inputs: int,
        hidden: int,
        *,
        layers: int,
        bidirectional: bool,
        bias: bool,
        dropout: float,
        truncate: int | None,
    ) -> None:
        super().__init__()
        if min(inputs, hidden, layers) < 1:
            raise core.InputError(
                f"{inputs} inputs, {hidden} hidden units, {layers} layers; expected at least 1 each."
            )
        if not 0 <= dropout < 1:
            raise core.InputError(f"dropout is {dropout}; expected a number from 0 up to, but not, 1.")
        if truncate is not None and truncate < 1:
            raise core.InputError(f"truncate is {truncate}; expected a number of steps, at least 1, or None.")
        if truncate is not None and bidirectional:
            raise core.InputError(
                "Truncated back-propagation walks forwards; a pass that begins at the end has no state to carry.",
                fix="Leave out truncate or bidirectional.",
            )
        self.inputs, self.hidden, self.layers = inputs, hidden, layers
        self.bidirectional, self.bias, self.truncate = bidirectional, bias, truncate
        self._cell, self._kernel = cell, kernel
        ends = ("", "_reverse") if bidirectional else ("",)
        self._places = [[f"_l{layer}{end}" for end in ends] for layer in range(layers)]
        bound, gates = hidden**-0.5, cell.gates * hidden
        for layer, places in enumerate(self._places):
            shapes: dict[str, tuple[int, ...]] = {
                "weight_ih": (gates, hidden * len(ends) if layer else inputs),
                "weight_hh": (gates, hidden),
            }
            shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)} if bias else {}
            for place in places:
                for name, shape in shapes.items():
                    self.register_parameter(name + place, nn.Parameter(torch.empty(shape).uniform_(-bound, bound)))
        self.dropouts = nn.ModuleList(Dropout(dropout) for _ in range(layers - 1 if dropout else 0))

    def extra_repr(self) -> str:
        return f"{self.inputs} -> {self.hidden}, layers={self.layers}, bidirectional={self.bidirectional}"

    def _run(self, x: Tensor, lengths: Tensor | None, state: tuple[Tensor, ...] | None) -> tuple[Tensor, Tensor]:
        weight = self._weights("_l0").ih
        self._check(x, lengths, stacked=weight.ndim == 3)
        shape = (*x.shape[:-3], self.layers * len(self._places[0]), x.shape[-3], self.hidden)
        for part in state or ():
            if part.shape != shape:
                raise core.InputError(f"The state has the shape {tuple(part.shape)}; expected {shape}.")
        whole = torch.cat(state, -1) if state else x.new_zeros(*shape[:-1], self.hidden * self._cell.states)
        with exact(x):
            return self._windows(x.to(weight.dtype), lengths, whole.to(weight.dtype))

    def _windows(self, x: Tensor, lengths: Tensor | None, state: Tensor) -> tuple[Tensor, Tensor]:
        if self.truncate is None or self.truncate >= x.shape[-2]:
            return self._window(x, lengths, state)
        outputs = []
        for k, window in enumerate(x.split(self.truncate, -2)):
            border, rest, carried = k * self.truncate, None, state.detach() if k else state
            if lengths is not None:
                rest = (lengths - border).clamp(0, window.shape[-2])
                carried = torch.where(_per_state(lengths <= border), state, carried)  # has ended: its last state
            output, state = self._window(window, rest, carried)
            outputs.append(output)
        return torch.cat(outputs, -2), state

    def _window(self, x: Tensor, lengths: Tensor | None, state: Tensor) -> tuple[Tensor, Tensor]:
        weights = [[self._weights(place) for place in places] for places in self._places]
        if self._fuses(x, lengths):
            return self._fused(x, lengths, state, weights)
        if x.ndim == 4:
            return self._scan(x, lengths, state, weights)
        one = [[w.as_stack() for w in layer] for layer in weights]
        output, last = self._scan(x[None], None if lengths is None else lengths[None], state[None], one)
        return output[0], last[0]

    def _scan(
        self, x: Tensor, lengths: Tensor | None, state: Tensor, weights: list[list[Weights]]
    ) -> tuple[Tensor, Tensor]:
        """The rule for the member axis. x [member, batch, time, inputs], state [member, layer, batch, S]."""
        h, idle = x.transpose(1, 2), None
        if lengths is not None:
            idle = _idle(lengths, x.shape[2])
            h = h.masked_fill(idle, 0)  # padding may hold anything, NaN too
        states, lasts = iter(state.unbind(1)), []
        for layer, directions in enumerate(weights):
            if layer and self.dropouts:
                h = self.dropouts[layer - 1](h.transpose(1, 2)).transpose(1, 2)
            ways = [
                scan(self._cell, h, idle, next(states), w, backwards=bool(backwards))
                for backwards, w in enumerate(directions)
            ]
            h = ways[0][0] if len(ways) == 1 else torch.cat([way for way, _ in ways], -1)
            lasts += [last for _, last in ways]
        if idle is not None:
            h = h.masked_fill(idle, 0)
        return h.transpose(1, 2), torch.stack(lasts, 1)

    def _fused(
        self, x: Tensor, lengths: Tensor | None, state: Tensor, weights: list[list[Weights]]
    ) -> tuple[Tensor, Tensor]:
        assert self._kernel is not None
        if not (self.dropouts and self.training):
            return fused(self._kernel, x, lengths, state, weights)
        lasts = []
        for layer, (part, directions) in enumerate(zip(state.chunk(self.layers, -3), weights, strict=True)):
            x = self.dropouts[layer - 1](x) if layer else x
            x, last = fused(self._kernel, x, lengths, part, [directions])
            lasts.append(last)
        return x, torch.cat(lasts, -3)

    def _fuses(self, x: Tensor, lengths: Tensor | None) -> bool:
        """Whether torch's own kernels take over; never by the number of members, whose results would change."""
        windows = self.truncate is not None and lengths is not None  # a window may find a sequence ended
        if self._kernel is None or windows or torch._C._are_functorch_transforms_active():
            return False
        if torch.compiler.is_compiling():  # an export knows these operators
            return x.ndim == 3 and lengths is None
        if x.device.type != "cpu":
            return x.ndim == 3
        one_kernel = self._kernel is torch.lstm and x.dtype == torch.float32 and torch.backends.mkldnn.is_available()
        large = x.ndim == 3 or x.shape[-3] * x.shape[-2] * self.hidden > SMALL
        return one_kernel and large and lengths is None

    def _weights(self, place: str) -> Weights:
        bias = (getattr(self, "bias_ih" + place), getattr(self, "bias_hh" + place)) if self.bias else (None, None)
        return Weights(getattr(self, "weight_ih" + place), getattr(self, "weight_hh" + place), *bias)

    def _check(self, x: Tensor, lengths: Tensor | None, *, stacked: bool) -> None:
        if x.ndim != 3 + stacked or x.shape[-1] != self.inputs or x.shape[-2] == 0:
            raise core.InputError(
                f"The sequences have the shape {tuple(x.shape)}; expected"
                f" [{'member, ' if stacked else ''}batch, time, {self.inputs}] with at least one step.",
                fix="Features stand last; a single feature or sequence has an axis of length 1.",
            )
        if lengths is None:
            return
        if lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool:
            raise core.InputError(
                f"The lengths are {lengths.dtype}; expected whole numbers.", fix="Use lengths.long()."
            )
        if lengths.shape != x.shape[:-2]:
            expected = tuple(x.shape[:-2])
            raise core.InputError(f"The lengths have the shape {tuple(lengths.shape)}; expected {expected}.")
        traced = torch._C._are_functorch_transforms_active() or torch.compiler.is_compiling()
        if lengths.device.type != "cpu" or traced:
            return  # reading them would wait for the device
        low, high = (int(v) for v in lengths.aminmax())
        if low < 1 or high > x.shape[-2]:
            raise core.InputError(
                f"The lengths go from {low} to {high}; expected 1 to {x.shape[-2]}, the steps of the window.",
                fix="Leave out empty sequences, and give each sequence all its steps.",
            )


def _idle(lengths: Tensor, steps: int) -> Bool[Tensor, "member time batch 1"]:
    """Which steps are padding."""
    return (torch.arange(steps, device=lengths.device)[:, None] >= lengths[:, None]).unsqueeze(-1)


def _per_state(x: Bool[Tensor, "*member batch"]) -> Bool[Tensor, "*member 1 batch 1"]:
    return x[..., None, :, None]


class Elman(_Recurrent):
    """h_t = g(W x_t + b + U h_{t−1} + c), with g = tanh or relu (Elman 1990): torch.nn.RNN.

    `GRU` says what the arguments, inputs, outputs and parameters are; here G = hidden.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        activation: str = "tanh",
        layers: int = 1,
        bidirectional: bool = False,
        bias: bool = True,
        dropout: float = 0.0,
        truncate: int | None = None,
    ) -> None:
        kernels = {"tanh": torch.rnn_tanh, "relu": torch.rnn_relu}
        if activation not in kernels:
            raise core.unknown("activation of a recurrent layer", activation, kernels)
        super().__init__(
            *(SimpleUnit(activation), kernels[activation], inputs, hidden),
            layers=layers,
            bidirectional=bidirectional,
            bias=bias,
            dropout=dropout,
            truncate=truncate,
        )

    def forward(
        self,
        x: Float[Tensor, "*member batch time inputs"],
        lengths: Shaped[Tensor, "*member batch"] | None = None,
        state: Float[Tensor, "*member layer batch hidden"] | None = None,
    ) -> tuple[Float[Tensor, "*member batch time out"], Float[Tensor, "*member layer batch hidden"]]:
        return self._run(x, lengths, None if state is None else (state,))


class GRU(_Recurrent):
    """Gated recurrent unit (Cho et al. 2014): torch.nn.GRU, and the paper's own form.

        r_t = σ(W_r x_t + b_r + U_r h_{t−1} + c_r)        z_t = σ(W_z x_t + b_z + U_z h_{t−1} + c_z)
        n_t = tanh(W_n x_t + b_n + r_t ⊙ (U_n h_{t−1} + c_n))      reset="after" the matrix: torch, cuDNN
        n_t = tanh(W_n x_t + b_n + U_n (r_t ⊙ h_{t−1}) + c_n)      reset="before" it: the paper, with bias=False
        h_t = (1 − z_t) ⊙ n_t + z_t ⊙ h_{t−1}

    `layers` of them one upon another; with `bidirectional` each layer walks the sequence in both directions and
    hands on both states side by side. In training each value between two layers is dropped at the rate `dropout`
    (0: there is no such layer; otherwise buffers `dropouts.k.dropout`, one number per member). With `truncate` = k,
    gradients end at the borders of windows of k steps (truncated back-propagation); values do not change.

    forward(x, lengths, state) -> (output, last):
    x [*member, batch, time, inputs]; lengths, whole numbers [*member, batch]: the steps of each sequence, from its
    first, 1 … time (default: all). What stands behind them changes nothing, whatever it is; there the output is 0.
    state [*member, layers · directions, batch, hidden]: h_0 (default 0), directions fastest, forwards first.
    output [*member, batch, time, directions · hidden]: the last layer's h_t. last: h after each sequence's last
    step (backwards: after its first), of the shape of `state`. To carry a state over to the next batch without
    its gradient, pass last.detach().

    Parameters have the names, shapes and initial values of torch.nn.GRU, so that state dicts pass from one to the
    other: weight_ih_l0 [*member, G, inputs], weight_hh_l0 [*member, G, hidden], bias_ih_l0, bias_hh_l0 [*member, G],
    then _l0_reverse, _l1, …; G = 3 · hidden in the order r, z, n; all from U(±1/√hidden).

    A wrong width, shape or length is an InputError; on a GPU and under torch.func the lengths' values are not read,
    and count as if cut to 0 … time. Autocast does not reach inside.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        reset: str = "after",
        layers: int = 1,
        bidirectional: bool = False,
        bias: bool = True,
        dropout: float = 0.0,
        truncate: int | None = None,
    ) -> None:
        cells: dict[str, Cell] = {"after": GatedUnit(), "before": GatedUnitResetBefore()}
        if reset not in cells:
            raise core.unknown("place of the reset gate", reset, cells)
        super().__init__(
            *(cells[reset], torch.gru if reset == "after" else None, inputs, hidden),
            layers=layers,
            bidirectional=bidirectional,
            bias=bias,
            dropout=dropout,
            truncate=truncate,
        )

    def forward(
        self,
        x: Float[Tensor, "*member batch time inputs"],
        lengths: Shaped[Tensor, "*member batch"] | None = None,
        state: Float[Tensor, "*member layer batch hidden"] | None = None,
    ) -> tuple[Float[Tensor, "*member batch time out"], Float[Tensor, "*member layer batch hidden"]]:
        return self._run(x, lengths, None if state is None else (state,))


class LSTM(_Recurrent):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000): torch.nn.LSTM.

        i_t, f_t, o_t = σ(W x_t + b + U h_{t−1} + c), each with its own      g_t = tanh(the same)
        c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t                                      h_t = o_t ⊙ tanh(c_t)

    `GRU` says what the arguments, inputs, outputs and parameters are; here G = 4 · hidden in the order i, f, g, o,
    and states are pairs (h, c).
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        layers: int = 1,
        bidirectional: bool = False,
        bias: bool = True,
        dropout: float = 0.0,
        truncate: int | None = None,
    ) -> None:
        super().__init__(
            *(LongShortTerm(), torch.lstm, inputs, hidden),
            layers=layers,
            bidirectional=bidirectional,
            bias=bias,
            dropout=dropout,
            truncate=truncate,
        )

    def forward(
        self,
        x: Float[Tensor, "*member batch time inputs"],
        lengths: Shaped[Tensor, "*member batch"] | None = None,
        state: tuple[Float[Tensor, "*member layer batch hidden"], Float[Tensor, "*member layer batch hidden"]]
        | None = None,
    ) -> tuple[
        Float[Tensor, "*member batch time out"],
        tuple[Float[Tensor, "*member layer batch hidden"], Float[Tensor, "*member layer batch hidden"]],
    ]:
        output, last = self._run(x, lengths, state)
        h, c = last.chunk(2, -1)
        return output, (h, c)
