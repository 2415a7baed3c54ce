"""Networks for sets: no order, no padding, members alone and stacked alike; attention can be read."""

from collections.abc import Callable
from itertools import permutations

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from tutti import core, models

SHAPE = core.SetShape(features=3, items=6)
CONFIGS: dict[str, models.SetModel] = {
    "deepsets": models.DeepSets(hidden=(5, 4), head=(6,), dropout=True),
    "deepsets, sum": models.DeepSets(hidden=(5,), pools=("sum",), head=(), trained=3, judged=5),
    "deepsets, equivariant": models.DeepSets(hidden=(5, 4, 3), pools=("max",), equivariant=True),
    "attention": models.SetAttention(hidden=(5, 4), attention=3),
    "attention, plain": models.SetAttention(hidden=(), attention=3, gated=False, scaling="robust"),
    "settransformer": models.SetTransformer(width=8, heads=2, points=3, blocks=1),
    "settransformer, all": models.SetTransformer(width=8, heads=2, points=0, blocks=1, head=(5,)),
}
Made = Callable[[str], torch.nn.Module]


def _build(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    network = CONFIGS[name].build(SHAPE, 2).double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return network.eval()


def _sets(sets: int = 4) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    items = torch.randn(sets, 6, 3, dtype=torch.float64)
    items[0, 1, 2] = torch.nan
    return items, torch.tensor([6, 3, 1, 0])[:sets]


# catalogue: A27, D5
@pytest.mark.parametrize("name", [n for n in CONFIGS if n != "deepsets, sum"])
def test_the_order_of_the_items_means_nothing(name: str) -> None:
    network, (items, counts) = _build(name), _sets()
    expected = network(items, counts)
    for order in list(permutations(range(3)))[1:]:
        moved = items.clone()
        moved[:2, :3] = items[:2, list(order)]
        torch.testing.assert_close(network(moved, counts), expected, rtol=1e-10, atol=1e-12)


# catalogue: A27, D5
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", CONFIGS)
def test_padding_means_nothing(name: str, training: bool) -> None:
    network, (items, counts) = _build(name).train(training), _sets()
    filled = torch.nn.functional.pad(items, (0, 0, 0, 5), value=77.0)
    for row, count in enumerate(counts.tolist()):
        filled[row, count:] = torch.nan if row % 2 else 1e6
    results = []
    for x in (items, filled):
        with core.random_keys(torch.tensor(3)):
            results.append(network(x, counts))
    torch.testing.assert_close(*results, rtol=1e-10, atol=1e-12)
    assert results[0].isfinite().all()


@pytest.mark.parametrize("name", CONFIGS)
def test_the_gradient_of_an_empty_set_and_of_padding_is_finite(name: str) -> None:
    network, (items, counts) = _build(name).train(), _sets()
    with core.random_keys(torch.tensor(3)):
        network(items, counts).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


# catalogue: A27
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_stack_is_each_member_alone(name: str, training: bool) -> None:
    network = _build(name).train(training)
    items, counts = _sets()
    members = 3
    torch.manual_seed(2)
    values = {k: torch.randn(members, *v.shape, dtype=torch.float64) for k, v in network.named_parameters()}
    buffers = {k: v.expand(members, *v.shape).clone() for k, v in network.named_buffers()}
    for name_, value in buffers.items():
        value += 0.1 * torch.arange(members).view(-1, *[1] * (value.ndim - 1)) if "scale" in name_ else 0
    keys = torch.tensor([5, 6, 7])
    x, n = items.expand(members, *items.shape), counts.expand(members, -1)
    with core.random_keys(keys):
        stacked = functional_call(network, values | buffers, (x, n))
    for member in range(members):
        own = {k: v[member] for k, v in (values | buffers).items()}
        with core.random_keys(keys[member]):
            alone = functional_call(network, own, (items, counts))
        torch.testing.assert_close(stacked[member], alone, rtol=1e-10, atol=1e-12)


# catalogue: A27
def test_attention_is_read_as_a_map_from_0_to_1() -> None:
    network, (items, counts) = _build("attention"), _sets()
    assert isinstance(network, models.SetAttention(hidden=(5,)).build(SHAPE, 2).__class__)
    weights = network.attention(items, counts, rescale=False)
    torch.testing.assert_close(weights.sum(1), torch.tensor([1.0, 1, 1, 0], dtype=torch.float64))
    shown = network.attention(items, counts)
    assert shown.shape == (4, 6)
    for row, count in enumerate((6, 3)):
        a = weights[row, :count]
        torch.testing.assert_close(shown[row, :count], (a - a.min()) / (a.max() - a.min()))
        assert shown[row, count:].eq(0).all()
    assert shown[2:].eq(0).all()  # one item, no item
    features, _ = network.enter(items, counts)
    present = torch.arange(6) < counts[:, None]
    hidden = network.encode.layers(features, present)
    pooled = (weights.unsqueeze(-1) * hidden).nansum(1)
    torch.testing.assert_close(pooled, network.encode(features, present))


# catalogue: A27
def test_the_plain_sum_is_the_formula() -> None:
    config = models.DeepSets(hidden=(5,), pools=("sum",), head=())
    torch.manual_seed(0)
    network = config.build(SHAPE, 2)
    items, counts = torch.randn(2, 6, 3), torch.tensor([6, 2])
    phi, rho = network.encode.layers.layers[0], network.judge[0]
    for row in range(2):
        total = torch.relu(items[row, : counts[row]] @ phi.weight.T + phi.bias).sum(0)
        vector = torch.cat((total, counts[row : row + 1].float().log1p()))
        torch.testing.assert_close(network(items, counts)[row], vector @ rho.weight.T + rho.bias)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"hidden": ()}, "at least one layer"), ({"pools": ("mode",)}, "mode"), ({"hidden": (0,)}, "one unit")],
)
def test_networks_that_cannot_be_built_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(core.InputError, match=message):
        models.DeepSets(**options)  # type: ignore[arg-type]
