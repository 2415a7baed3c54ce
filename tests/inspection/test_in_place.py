"""Graphs of networks that write into tensors: each moment of a tensor is a node, with its own value and gradient."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import tutti.nn as tnn
from tutti.core import InputError
from tutti.inspection import ComputationGraph, computation_graph


def squared(output: Tensor, target: Tensor) -> Tensor:
    return 0.5 * (output - target).square().sum(-1)


class Written(nn.Module):
    """A layer, and then whatever a function does with its answer and the input."""

    def __init__(self, rest: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.rest = nn.Linear(4, 4), rest

    def forward(self, x: Tensor) -> Tensor:
        return self.rest(self.layer(x), x)


def plain(h: Tensor, x: Tensor) -> Tensor:
    return torch.relu(h) + x


def relu_in_place(h: Tensor, x: Tensor) -> Tensor:
    return nn.functional.relu(h, inplace=True) + x


def added_in_place(h: Tensor, x: Tensor) -> Tensor:
    h = torch.relu(h).clone()
    h += x
    return h


def into_zeros(h: Tensor, x: Tensor) -> Tensor:
    found = torch.zeros(len(h), 4, dtype=h.dtype)
    found[:, :2] = torch.relu(h)[:, :2]
    found[:, 2:] = torch.relu(h)[:, 2:]
    return found + x


def through_a_view(h: Tensor, x: Tensor) -> Tensor:
    """The view is written into; what is read is its base."""
    base = torch.zeros(2, len(h), 4, dtype=h.dtype)
    view = base[1]
    view.copy_(torch.relu(h))
    view += x
    return base.sum(0)


def seen_by_a_view(h: Tensor, x: Tensor) -> Tensor:
    """The base is written into; what is read is a view that was there before."""
    h = torch.relu(h).clone()
    view = h.view(-1)
    h.add_(x)
    return view.view(h.shape)


def into_out(h: Tensor, x: Tensor) -> Tensor:
    with torch.no_grad():
        room = torch.empty_like(h)
        torch.add(x, 0, out=room)
    return torch.relu(h) + room


def through_data(h: Tensor, x: Tensor) -> Tensor:
    h = torch.relu(h).clone()
    h.data += x.detach()
    return h


def by_setting_data(h: Tensor, x: Tensor) -> Tensor:
    h = torch.relu(h).clone()
    h.data = torch.add(h.detach(), x.detach())
    return h


class Doubled(torch.autograd.Function):
    """What no torch function does."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.from_numpy(2 * x.detach().numpy())

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        return 2 * slope


class Rectified(torch.autograd.Function):
    """Writes into its input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.mark_dirty(x)
        ctx.positive = torch.from_numpy(x.detach().numpy() > 0)
        with torch._C.DisableTorchFunction():
            return x.mul_(ctx.positive)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        return slope * ctx.positive


def by_a_function(h: Tensor, x: Tensor) -> Tensor:
    return 0.5 * Doubled.apply(torch.relu(h)) + x


def by_a_writing_function(h: Tensor, x: Tensor) -> Tensor:
    Rectified.apply(h)
    return h + x


def graph_of(rest: Callable[[Tensor, Tensor], Tensor]) -> tuple[ComputationGraph, nn.Module, Tensor, Tensor]:
    torch.manual_seed(0)
    network = Written(rest).double()
    x, t = torch.randn(6, 4).double(), torch.randn(6, 4).double()
    return computation_graph(network, squared, [x], t), network, x, t


def behind(graph: ComputationGraph, place: int) -> set[str]:
    """The names of all that a node was computed from."""
    found: set[str] = set()
    for source in graph.nodes[place].sources:
        found |= {graph.nodes[source].name} | behind(graph, source)
    return found


EQUAL = [
    relu_in_place,
    added_in_place,
    into_zeros,
    through_a_view,
    seen_by_a_view,
    into_out,
    through_data,
    by_setting_data,
]


@pytest.mark.parametrize("rest", [*EQUAL, by_a_function, by_a_writing_function])
def test_writing_and_not_writing_have_the_same_ends(rest: Callable[[Tensor, Tensor], Tensor]) -> None:
    """The network is the same function as `plain`: loss, weights, input, and all that leads to the loss."""
    graph, _, x, _ = graph_of(rest)
    expected = graph_of(plain)[0]
    for name in ("layer.weight", "layer.bias", "linear", "target"):
        mine, theirs = graph.node(name), expected.node(name)
        assert mine.value == pytest.approx(theirs.value)
        assert mine.gradient == (None if theirs.gradient is None else pytest.approx(theirs.gradient))
    assert graph.loss.value == pytest.approx(expected.loss.value)
    assert graph.node("input").value == pytest.approx(float(x.norm()))
    assert behind(graph, len(graph.nodes) - 1) >= {"input", "layer.weight", "layer.bias", "linear"}
    assert all(s < i for i, node in enumerate(graph.nodes) for s in node.sources)


def test_a_relu_in_place_is_a_node_beside_what_it_replaces() -> None:
    """linear keeps the value and the gradient it had: z, and δ where z > 0."""
    graph, network, x, t = graph_of(relu_in_place)
    z = network.layer(x).detach()
    delta = (torch.relu(z) + x - t) / 6
    assert graph.node("linear").value == pytest.approx(float(z.norm()))
    assert graph.node("linear").gradient == pytest.approx(float((delta * (z > 0)).norm()))
    assert graph.node("relu").value == pytest.approx(float(torch.relu(z).norm()))
    assert graph.node("relu").gradient == pytest.approx(float(delta.norm()))
    assert [graph.nodes[s].name for s in graph.node("relu").sources] == ["linear"]
    sequence = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 2))
    assert computation_graph(sequence, squared, [torch.randn(3, 4)], torch.zeros(3, 2)).node("relu").layer == "0"


def test_an_addition_in_place_comes_from_both() -> None:
    graph, network, x, t = graph_of(added_in_place)
    node = graph.node("add_")
    assert sorted(graph.nodes[s].name for s in node.sources) == ["clone", "input"]
    h = torch.relu(network.layer(x).detach())
    assert graph.node("relu").value == pytest.approx(float(h.norm()))
    assert node.value == pytest.approx(float((h + x).norm()))
    assert node.gradient == pytest.approx(float(((h + x - t) / 6).norm()))


@pytest.mark.parametrize("rest", [through_a_view, seen_by_a_view, through_data, by_setting_data])
def test_a_write_is_seen_through_every_view_of_its_memory(rest: Callable[[Tensor, Tensor], Tensor]) -> None:
    graph, network, x, _ = graph_of(rest)
    assert behind(graph, len(graph.nodes) - 1) & {"add_", "data"}
    answer = (torch.relu(network.layer(x)) + x).detach()
    assert graph.nodes[graph.node("sub").sources[0]].value == pytest.approx(float(answer.norm()))


def test_parts_written_into_zeros_are_the_network() -> None:
    graph, network, x, _ = graph_of(into_zeros)
    first, second = (node for node in graph.nodes if node.name == "setitem")
    h = torch.relu(network.layer(x).detach())
    assert first.value == pytest.approx(float(h[:, :2].norm()))
    assert second.value == pytest.approx(float(h.norm()))
    assert [graph.nodes[s].name for s in second.sources] == ["setitem", "getitem"]


def test_views_that_were_not_written_into_stay_as_they_are() -> None:
    def halves(h: Tensor, x: Tensor) -> Tensor:
        h = torch.relu(h).clone()
        left, right = h[:, :2], h[:, 2:]
        left.mul_(3)
        return torch.cat([right, left], 1)

    graph = graph_of(halves)[0]
    parts = graph.nodes[next(node for node in graph.nodes if node.name == "cat").sources[0]]
    assert parts.name == "getitem"
    assert [graph.nodes[s].name for s in parts.sources] == ["clone"]


def test_what_is_overwritten_leads_nowhere() -> None:
    def forgotten(h: Tensor, x: Tensor) -> Tensor:
        room = torch.tanh(h).detach()
        room.zero_()
        return torch.relu(h) + room

    graph = graph_of(forgotten)[0]
    assert "tanh" not in {node.name for node in graph.nodes}
    assert len(graph.node("add").sources) == 1


def test_complex_numbers_and_wide_layers_are_followed() -> None:
    """rfft makes complex numbers; a wide layer of ours is an autograd.Function where oneDNN is the faster."""

    class Spectrum(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.fft.irfft(2 * torch.fft.rfft(x), n=x.shape[1])

    graph = computation_graph(Spectrum(), squared, [torch.randn(3, 8)], torch.zeros(3, 8))
    assert {node.name for node in graph.nodes} >= {"input", "rfft", "irfft"}
    wide = tnn.Linear(512, 512)
    graph = computation_graph(wide, squared, [torch.randn(512, 512)], torch.zeros(512, 512))
    assert graph.node("weight").gradient is not None
    assert all(node.gradient is not None for node in graph.nodes if node.name != "target")


def test_statistics_and_modes_are_left_as_they_were() -> None:
    class Rebinding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.zeros(4))

        def forward(self, x: Tensor) -> Tensor:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
            return x - self.mean

    norm, own = nn.BatchNorm1d(4), Rebinding()
    network = nn.Sequential(nn.Linear(4, 4), norm, own).train()
    norm.eval()
    buffer = own.mean
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for mode in (True, False):
        norm.train(mode)
        computation_graph(network, squared, [torch.randn(5, 4)], torch.zeros(5, 4))
        assert norm.training is mode
        assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert own.mean is buffer
    with pytest.raises(RuntimeError, match="shapes"):
        computation_graph(network.train(), squared, [torch.randn(5, 3)], torch.zeros(5, 4))
    assert norm.num_batches_tracked == 0


def test_what_cannot_be_followed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(h: Tensor, x: Tensor) -> Tensor:
        h = torch.relu(h).detach()
        with torch._C.DisableTorchFunction():
            h.add_(x.detach())
        return h + x

    with pytest.raises(InputError, match=r"result of 'detach' has been changed in place"):
        graph_of(hidden)
    monkeypatch.setattr("tutti.inspection._recorder.MOST", 5)
    with pytest.raises(InputError, match="more than 5 operations"):
        graph_of(plain)
