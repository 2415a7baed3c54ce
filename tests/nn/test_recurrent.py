"""Recurrent layers equal torch's, or the paper's formula, forwards and backwards, and obey their laws."""

from collections.abc import Callable
from functools import partial
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tutti import core, nn

Layer = nn.Elman | nn.GRU | nn.LSTM
Make = Callable[..., Layer]

PAIRS = {
    "elman": (nn.Elman, torch.nn.RNN),
    "elman relu": (partial(nn.Elman, activation="relu"), partial(torch.nn.RNN, nonlinearity="relu")),
    "gru": (nn.GRU, torch.nn.GRU),
    "lstm": (nn.LSTM, torch.nn.LSTM),
}
KINDS: dict[str, Make] = {name: ours for name, (ours, _) in PAIRS.items()} | {
    "gru, reset before": partial(nn.GRU, reset="before", bias=False)
}


def parts(state: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


def initial(layer: Layer, batch: int) -> Tensor | tuple[Tensor, ...]:
    rows = layer.layers * (1 + layer.bidirectional)
    given = tuple(torch.randn(rows, batch, layer.hidden, dtype=torch.double).requires_grad_() for _ in range(2))
    return given if isinstance(layer, nn.LSTM) else given[0]


def gradients(outputs: tuple[Tensor, ...], inputs: list[Tensor]) -> tuple[Tensor, ...]:
    """Of a sum in which every number of every output has a weight of its own."""
    total = sum((y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum() for y in outputs)
    assert isinstance(total, Tensor)
    return torch.autograd.grad(total, inputs)


def close(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


# catalogue: A12
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(("layers", "bidirectional", "bias"), [*product((1, 2), (False, True), (False, True))])
@pytest.mark.parametrize("kind", PAIRS)
def test_layer_is_torchs(kind: str, layers: int, bidirectional: bool, bias: bool, padded: bool) -> None:
    torch.manual_seed(0)
    ours = PAIRS[kind][0](5, 7, layers=layers, bidirectional=bidirectional, bias=bias).double()
    theirs = PAIRS[kind][1](5, 7, layers, bidirectional=bidirectional, bias=bias, batch_first=True).double()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(3, 9, 5, dtype=torch.double).requires_grad_()
    state, lengths = initial(ours, 3), torch.tensor([9, 2, 5])
    if padded:
        packed, last = theirs(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False), state)
        expected, _ = pad_packed_sequence(packed, batch_first=True)
    else:
        expected, last = theirs(x, state)
    output, final = ours(x, lengths if padded else None, state)
    close((output, *parts(final)), (expected, *parts(last)))
    inputs = [x, *parts(state)]
    found = gradients((output, *parts(final)), [*inputs, *ours.parameters()])
    close(found, gradients((expected, *parts(last)), [*inputs, *theirs.parameters()]))


@pytest.mark.parametrize("kind", PAIRS)
def test_layer_starts_as_torchs_does(kind: str) -> None:
    torch.manual_seed(3)
    ours = PAIRS[kind][0](5, 7, layers=2, bidirectional=True)
    torch.manual_seed(3)
    theirs = PAIRS[kind][1](5, 7, 2, bidirectional=True)
    for (name, a), (same, b) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert name == same
        assert torch.equal(a, b)


# catalogue: A12
def test_gru_with_the_reset_before_the_matrix_is_the_papers_formula() -> None:
    torch.manual_seed(0)
    layer = nn.GRU(3, 4, reset="before", bias=False).double()
    assert [name for name, _ in layer.named_parameters()] == ["weight_ih_l0", "weight_hh_l0"]
    x = torch.randn(2, 6, 3, dtype=torch.double).requires_grad_()
    w_r, w_z, w_n = layer.weight_ih_l0.chunk(3)
    u_r, u_z, u_n = layer.weight_hh_l0.chunk(3)
    h, steps = torch.zeros(2, 4, dtype=torch.double), []
    for x_t in x.unbind(1):
        r = torch.sigmoid(x_t @ w_r.T + h @ u_r.T)
        z = torch.sigmoid(x_t @ w_z.T + h @ u_z.T)
        h = h * z + torch.tanh(x_t @ w_n.T + (h * r) @ u_n.T) * (1 - z)
        steps.append(h)
    expected = torch.stack(steps, 1)
    output, last = layer(x)
    close((output, last[0]), (expected, h))
    inputs = [x, *layer.parameters()]
    close(gradients((output,), inputs), gradients((expected,), inputs))


def test_both_places_of_the_reset_agree_where_the_gate_is_open() -> None:
    layers = [nn.GRU(3, 4, reset=place).double() for place in ("after", "before")]
    for layer in layers:
        layer.load_state_dict(layers[0].state_dict())
        with torch.no_grad():
            layer.bias_ih_l0[:4] = 1e3
    x = torch.randn(2, 6, 3, dtype=torch.double)
    close(layers[0](x), layers[1](x))


# catalogue: A12
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_nothing(kind: str, bidirectional: bool) -> None:
    torch.manual_seed(0)
    layer = KINDS[kind](3, 8, layers=2, bidirectional=bidirectional)
    lengths, x = torch.tensor([5, 1, 3]), torch.randn(3, 7, 3)
    padding = torch.arange(7) >= lengths[:, None]
    runs = []
    for filling in (0.0, 1e6, torch.nan, torch.inf):
        given = x.masked_fill(padding[..., None], filling).requires_grad_()
        output, last = layer(given, lengths)
        grads = gradients((output, *parts(last)), [given, *layer.parameters()])
        runs.append((output, *parts(last), *grads))
        assert not output[padding].any()
        assert not grads[0][padding].any()
    for run in runs[1:]:
        assert all(map(torch.equal, runs[0], run))  # to the last bit
    for sample, length in enumerate(lengths):
        alone, last = layer(x[sample : sample + 1, :length])
        torch.testing.assert_close(alone[0], runs[0][0][sample, :length])
        for a, b in zip(parts(last), runs[0][1:], strict=False):
            torch.testing.assert_close(a[:, 0], b[:, sample])
    wider, last = layer(torch.cat([x, torch.full((3, 30, 3), torch.nan)], 1), lengths)
    torch.testing.assert_close(wider[:, :7], runs[0][0])
    assert not wider[:, 7:].any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_does_not_see_what_comes_later(kind: str) -> None:
    layer, x = KINDS[kind](3, 8, layers=2), torch.randn(2, 9, 3)
    other = torch.cat([x[:, :4], torch.randn(2, 5, 3)], 1)
    assert torch.equal(layer(x)[0][:, :4], layer(other)[0][:, :4])
    assert not torch.equal(layer(x)[0][:, 4:], layer(other)[0][:, 4:])


@pytest.mark.parametrize("kind", KINDS)
def test_the_second_direction_is_the_first_on_the_reversed_sequence(kind: str) -> None:
    both, one = KINDS[kind](3, 4, bidirectional=True).double(), KINDS[kind](3, 4).double()
    one.load_state_dict({k.removesuffix("_reverse"): v for k, v in both.state_dict().items() if "reverse" in k})
    x = torch.randn(2, 9, 3, dtype=torch.double)
    close((both(x)[0][..., 4:],), (one(x.flip(1))[0].flip(1),))


def detached(state: Tensor | tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
    return state.detach() if isinstance(state, Tensor) else tuple(part.detach() for part in state)


# catalogue: A12
@pytest.mark.parametrize("kind", KINDS)
def test_truncation_is_the_graph_with_detached_states(kind: str) -> None:
    torch.manual_seed(0)
    cut = KINDS[kind](3, 4, layers=2, truncate=4).double()
    whole = KINDS[kind](3, 4, layers=2).double()
    whole.load_state_dict(cut.state_dict())
    x = torch.randn(3, 10, 3, dtype=torch.double).requires_grad_()
    start = carried = initial(cut, 3)
    windows = []
    for window in x.split(4, 1):
        output, after = whole(window, None, carried)
        windows.append(output)
        carried = detached(after)
    expected = torch.cat(windows, 1)
    output, last = cut(x, None, start)
    close((output, *parts(last)), (expected, *parts(after)))
    inputs = [x, *parts(start)]
    found = gradients((output, *parts(last)), [*inputs, *cut.parameters()])
    close(found, gradients((expected, *parts(after)), [*inputs, *whole.parameters()]))
    full, end = whole(x, None, start)
    close((output,), (full,))
    assert not torch.allclose(gradients((full, *parts(end)), inputs)[0], found[0])


@pytest.mark.parametrize("kind", KINDS)
def test_truncation_and_padding_go_together(kind: str) -> None:
    torch.manual_seed(0)
    layer = KINDS[kind](3, 4, layers=2, truncate=4).double()
    x, lengths = torch.randn(3, 10, 3, dtype=torch.double), torch.tensor([10, 3, 6])
    weights = list(layer.parameters())
    output, last = layer(x, lengths)
    together = torch.autograd.grad(output.square().sum() + parts(last)[0].sum(), weights)
    alone = []
    for sample, length in enumerate(lengths):
        one, end = layer(x[sample : sample + 1, :length])
        close((one[0], parts(end)[0][:, 0]), (output[sample, :length], parts(last)[0][:, sample]))
        alone.append(torch.autograd.grad(one.square().sum() + parts(end)[0].sum(), weights))
    close(together, tuple(sum(each) for each in zip(*alone, strict=True)))


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_finite_differences_twice(kind: str, padded: bool) -> None:
    torch.manual_seed(0)
    layer = KINDS[kind](1, 2, bidirectional=padded).double()
    names = [name for name, _ in layer.named_parameters()]
    x, state = torch.randn(2, 3, 1, dtype=torch.double).requires_grad_(), parts(initial(layer, 2))
    lengths = torch.tensor([3, 2]) if padded else None

    def function(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        values = dict(zip(names, rest[len(state) :], strict=True))
        given = rest[: len(state)] if len(state) > 1 else rest[0]
        output, last = torch.func.functional_call(layer, values, (x, lengths, given))
        return output, *parts(last)

    inputs = (x, *state, *layer.parameters())
    assert torch.autograd.gradcheck(function, inputs)
    assert torch.autograd.gradgradcheck(function, inputs, fast_mode=True)


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize("padded", [False, True])
def test_torchs_kernels_take_over_without_a_difference(
    kind: str, padded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a GPU does, on the processor; and the LSTM in float32 on either."""
    torch.manual_seed(0)
    layer = PAIRS[kind][0](5, 7, layers=2, bidirectional=True, dropout=0.4).double()
    x, state = torch.randn(3, 9, 5, dtype=torch.double), initial(layer, 3)
    lengths = torch.tensor([9, 2, 5]) if padded else None
    runs = []
    for fuses in (False, True):
        monkeypatch.setattr(layer, "_fuses", lambda *_, fuses=fuses: fuses)
        for mode in (True, False):
            with core.random_keys(torch.tensor(5, dtype=torch.int32)):
                output, last = layer.train(mode)(x, lengths, state)
            runs.append((output, *parts(last), *gradients((output, *parts(last)), list(layer.parameters()))))
    close(runs[0], runs[2])
    close(runs[1], runs[3])
    assert not torch.allclose(runs[0][0], runs[1][0])


def test_lstm_in_float32_is_torchs_to_the_last_bit() -> None:
    ours, theirs = nn.LSTM(5, 8), torch.nn.LSTM(5, 8, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(3, 9, 5)
    assert torch.equal(ours(x)[0], theirs(x)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_without_gradients_the_values_are_the_same(kind: str) -> None:
    layer, x = KINDS[kind](3, 8, bidirectional=True).double(), torch.randn(40, 300, 3, dtype=torch.double)
    output, last = layer(x)
    with torch.no_grad():
        same, end = layer(x)
    assert torch.equal(output, same)
    assert all(map(torch.equal, parts(last), parts(end)))


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_does_not_reach_inside(kind: str) -> None:
    layer, x = KINDS[kind](3, 8), torch.randn(2, 9, 3)
    expected = gradients((layer(x)[0],), list(layer.parameters()))
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(x)[0]
        found = gradients((output,), list(layer.parameters()))
    assert output.dtype == torch.float32
    assert all(map(torch.equal, found, expected))


@pytest.mark.parametrize("kind", KINDS)
def test_layer_can_be_exported_for_any_batch(kind: str) -> None:
    layer = KINDS[kind](3, 4, layers=2).eval()
    batch = torch.export.Dim("batch", min=2, max=64)
    x = torch.randn(5, 6, 3)
    exported = torch.export.export(layer, (x,), dynamic_shapes={"x": {0: batch}}, strict=False).module()
    x = torch.randn(9, 6, 3)
    torch.testing.assert_close(exported(x)[0], layer(x)[0])


# catalogue: A12
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (nn.ElmanCell, torch.nn.RNNCell),
        (partial(nn.ElmanCell, activation="relu"), partial(torch.nn.RNNCell, nonlinearity="relu")),
        (nn.GRUCell, torch.nn.GRUCell),
        (nn.LSTMCell, torch.nn.LSTMCell),
    ],
)
def test_cell_is_torchs(
    ours: Callable[..., torch.nn.Module], theirs: Callable[..., torch.nn.Module], bias: bool
) -> None:
    torch.manual_seed(0)
    mine = ours(3, 4, bias=bias).double()
    torch.manual_seed(0)
    other = theirs(3, 4, bias=bias)
    assert all(map(torch.equal, (p.float() for p in mine.parameters()), other.parameters()))
    other.double().load_state_dict(mine.state_dict())
    x = torch.randn(5, 3, dtype=torch.double)
    h, c = torch.randn(2, 5, 4, dtype=torch.double)
    state = (h, c) if isinstance(mine, nn.LSTMCell) else h
    for given in ((x,), (x, state)):
        found, expected = parts(mine(*given)), parts(other(*given))
        close(found, expected)
        close(gradients(found, list(mine.parameters())), gradients(expected, list(other.parameters())))


@pytest.mark.parametrize(("reset", "bias"), [("after", True), ("before", True), ("before", False)])
def test_layer_is_a_loop_of_its_cell(reset: str, bias: bool) -> None:
    layer, cell = nn.GRU(3, 4, reset=reset, bias=bias), nn.GRUCell(3, 4, reset=reset, bias=bias)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    x, h = torch.randn(2, 6, 3), torch.zeros(2, 4)
    for x_t in x.unbind(1):
        h = cell(x_t, h)
    torch.testing.assert_close(layer(x)[1][0], h)


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "width": (lambda: nn.GRU(3, 4)(torch.zeros(2, 5, 7)), r"\(2, 5, 7\); expected \[batch, time, 3\]"),
    "axes": (lambda: nn.GRU(3, 4)(torch.zeros(1, 2, 5, 3)), r"expected \[batch, time, 3\]"),
    "no steps": (lambda: nn.GRU(3, 4)(torch.zeros(2, 0, 3)), "at least one step"),
    "too long": (lambda: nn.LSTM(3, 4)(torch.zeros(2, 5, 3), torch.tensor([6, 1])), "from 1 to 6; expected 1 to 5"),
    "empty": (lambda: nn.LSTM(3, 4)(torch.zeros(2, 5, 3), torch.tensor([0, 1])), "from 0 to 1; expected 1 to 5"),
    "fraction": (lambda: nn.GRU(3, 4)(torch.zeros(2, 5, 3), torch.tensor([2.0, 1.0])), "expected whole numbers"),
    "mask": (lambda: nn.GRU(3, 4)(torch.zeros(2, 5, 3), torch.ones(2, dtype=torch.bool)), "expected whole numbers"),
    "state": (lambda: nn.GRU(3, 4)(torch.zeros(2, 5, 3), None, torch.zeros(2, 2, 4)), r"expected \(1, 2, 4\)"),
    "activation": (lambda: nn.Elman(3, 4, activation="tan"), "Did you mean 'tanh'"),
    "reset": (lambda: nn.GRU(3, 4, reset="befor"), "Did you mean 'before'"),
    "hidden": (lambda: nn.LSTM(3, 0), "at least 1 each"),
    "dropout": (lambda: nn.LSTM(3, 4, dropout=1.0), "from 0 up to"),
    "window": (lambda: nn.LSTM(3, 4, truncate=0), "at least 1, or None"),
    "both": (lambda: nn.LSTM(3, 4, truncate=3, bidirectional=True), "walks forwards"),
    "cell": (lambda: nn.GRUCell(3, 4)(torch.zeros(2, 5)), "5 features; expected 3"),
}


@pytest.mark.parametrize("mistake", BAD)
def test_mistakes_are_named(mistake: str) -> None:
    attempt, message = BAD[mistake]
    with pytest.raises(core.InputError, match=message):
        attempt()
