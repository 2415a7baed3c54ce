"""# catalogue: L1. The graph that back-propagation walks, with the gradients that are derived by hand."""

import re

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.testing import assert_close

import tutti.nn as tnn
from tutti.core import InputError
from tutti.inspection import computation_graph, draw_graph


def squared(output: Tensor, target: Tensor) -> Tensor:
    return 0.5 * (output - target).square().sum(-1)


class Neuron(nn.Module):
    """σ(w x + b) of one number."""

    def __init__(self) -> None:
        super().__init__()
        self.w, self.b = (nn.Parameter(torch.tensor(v, dtype=torch.float64)) for v in (0.7, -0.2))

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.w * x + self.b)


def test_a_single_neuron_by_hand() -> None:
    """L = ½(σ(wx+b) − t)²: dL/dw = (y − t) y (1 − y) x, and every value on the way."""
    x, t = 1.5, 1.0
    graph = computation_graph(
        Neuron(), lambda y, t: 0.5 * (y - t) ** 2, [torch.tensor([x]).double()], torch.tensor([t]).double()
    )
    z = 0.7 * x - 0.2
    y = 1 / (1 + torch.exp(torch.tensor(-z, dtype=torch.float64)).item())
    delta = (y - t) * y * (1 - y)
    for name, value, gradient in (
        ("input", x, delta * 0.7),
        ("w", 0.7, delta * x),
        ("b", -0.2, delta),
        ("sigmoid", y, y - t),
        ("add", z, delta),
    ):
        node = graph.node(name)
        assert node.value == pytest.approx(value)
        assert node.gradient == pytest.approx(gradient)
    assert graph.loss.value == pytest.approx(0.5 * (y - t) ** 2)
    assert graph.loss.gradient == 1.0


def test_a_two_layer_network_by_hand() -> None:
    """# catalogue: L1. ∂L/∂W = δ hᵀ and ∂L/∂V = ((Wᵀδ) ⊙ g'(V X)) Xᵀ, as norms in the graph."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 5, bias=False), nn.Tanh(), nn.Linear(5, 2, bias=False)).double()
    x, t = torch.randn(6, 4).double(), torch.randn(6, 2).double()
    v, w = (network[i].weight.detach() for i in (0, 2))
    h = torch.tanh(v @ x.T)
    delta = (w @ h - t.T) / 6
    by_w, by_v = delta @ h.T, ((w.T @ delta) * (1 - h**2)) @ x
    graph = computation_graph(network, squared, [x], t)
    assert graph.node("2.weight").gradient == pytest.approx(float(by_w.norm()))
    assert graph.node("0.weight").gradient == pytest.approx(float(by_v.norm()))
    assert graph.node("tanh").gradient == pytest.approx(float((w.T @ delta).norm()))
    assert graph.node("tanh").layer == "1"
    assert network[0].weight.grad is None


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3)),
        nn.Sequential(nn.Flatten(), tnn.Linear(64, 8), nn.GELU(), tnn.Linear(8, 3)),
        nn.Sequential(nn.Flatten(2), nn.Flatten(0, 1), nn.GRU(64, 4)),
    ],
)
def test_sources_come_first_and_gradients_are_autograds(network: nn.Module) -> None:
    torch.manual_seed(0)
    x, t = torch.randn(5, 1, 8, 8), torch.tensor([0, 1, 2, 0, 1])

    def loss(output: object, target: Tensor) -> Tensor:
        return F.cross_entropy(output[0] if isinstance(output, tuple) else output, target)

    graph = computation_graph(network, loss, [x], t)
    assert all(s < i for i, node in enumerate(graph.nodes) for s in node.sources)
    loss(network(x), t).backward()
    for name, parameter in network.named_parameters():
        assert_close(
            torch.tensor(graph.node(name).gradient),
            parameter.grad.double().norm(),
            check_dtype=False,
            rtol=1e-5,
            atol=1e-8,
        )


def test_the_picture_holds_every_node_and_escapes_names() -> None:
    network = nn.Sequential()
    network.add_module("<b>&", nn.Linear(2, 1))
    graph = computation_graph(network, squared, [torch.ones(3, 2)], torch.zeros(3, 1))
    picture = draw_graph(graph)
    assert len(re.findall("<rect", picture)) == len(graph.nodes) + 1
    assert "<b>" not in picture
    assert "&lt;b&gt;&amp;" in picture
    assert len(graph.to_json()["nodes"]) == len(graph.nodes)


def test_what_has_no_graph_is_told() -> None:
    class Nothing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.zeros(3, 1)

    with pytest.raises(InputError, match="does not depend"):
        computation_graph(Nothing(), lambda o, t: o, [torch.ones(3, 2)], torch.zeros(3, dtype=torch.int64))
    with pytest.raises(InputError, match="Unknown node 'sigmoit'"):
        computation_graph(Neuron(), lambda o, t: o, [torch.ones(1).double()], torch.zeros(1)).node("sigmoit")
