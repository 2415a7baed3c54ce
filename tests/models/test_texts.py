"""Networks for texts: padding means nothing, members alone and stacked alike, independence of neighbours."""

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from tutti import core, models

SHAPE = core.TextShape(tokens=12, length=9)
CONFIGS: dict[str, models.Model] = {
    "bag": models.TextBag(buckets=32),
    "bag, deep": models.TextBag(buckets=32, width=4, hidden=(5,), longest=3, dropout=True),
    "bag of words": models.TextBag(longest=1, width=4),
    "convolution": models.TextConvolution(width=4, kernels=(2, 3), channels=5),
    "lstm": models.TextLSTM(width=4, hidden=3, window=9),
    "lstm, last": models.TextLSTM(width=4, hidden=3, pool="last", layers=2, bidirectional=False),
    "gru, mean": models.TextLSTM(width=4, hidden=3, cell="gru", pool="mean", dropout=False),
    "lstm, both ends": models.TextLSTM(width=4, hidden=3, pool="last"),
    "transformer": models.TextTransformer(width=8, heads=2, window=9),
    "transformer, sinusoidal": models.TextTransformer(
        width=8, heads=2, layers=1, position="sinusoidal", dropout=False
    ),
    "window": models.TextTransformer(width=8, heads=2, layers=1, window=6),
}


def _build(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    network = CONFIGS[name].build(SHAPE, 2).double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return network.eval()


def _texts(members: tuple[int, ...] = ()) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    lengths = torch.tensor([9, 4, 1, 6], dtype=torch.int32).expand(*members, 4)
    tokens = torch.randint(1, 12, (*members, 4, 9), dtype=torch.int32)
    return tokens * (torch.arange(9) < lengths[..., None]), lengths


# catalogue: T5, A12, A17
@pytest.mark.parametrize("name", CONFIGS)
def test_padding_means_nothing(name: str) -> None:
    network, (tokens, lengths) = _build(name), _texts()
    longer = torch.nn.functional.pad(tokens, (0, 6))
    torch.testing.assert_close(network(longer, lengths), network(tokens, lengths), rtol=1e-10, atol=1e-12)
    alone = [network(tokens[i : i + 1, : int(n)], lengths[i : i + 1]) for i, n in enumerate(lengths)]
    torch.testing.assert_close(torch.cat(alone), network(tokens, lengths), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_stack_is_each_member_alone_and_its_neighbours_do_not_matter(name: str, training: bool) -> None:
    network = _build(name).train(training)
    network.front.eval()
    members, body = 3, network.body
    raw = _texts((members,))
    each = [network.front(raw[0][m], raw[1][m]) for m in range(members)]
    inputs = tuple(torch.stack(column) for column in zip(*each, strict=True))
    torch.manual_seed(2)
    values = {k: torch.randn(members, *v.shape, dtype=torch.float64) / 2 for k, v in body.named_parameters()}
    for k, v in body.named_buffers():
        rate = torch.tensor([0.1, 0.3, 0.5]).double()
        values[k] = rate if k.endswith("dropout") else v.expand(members, *v.shape).clone()
    constants = {f"{n}.{c}" if n else c for n, m in body.named_modules() for c in getattr(m, "constants", ())}
    values = {k: v[0] if k in constants else v for k, v in values.items()}
    keys = torch.tensor([5, 6, 7])

    def together(values: dict[str, Tensor]) -> Tensor:
        with core.random_keys(keys):
            return functional_call(body, values, inputs)

    stacked = together(values)
    for member in range(members):
        own = {k: v if k in constants else v[member] for k, v in values.items()}
        with core.random_keys(keys[member]):
            alone = functional_call(body, own, each[member])
        torch.testing.assert_close(stacked[member], alone, rtol=1e-9, atol=1e-12)
    other = {
        k: v if k in constants or k.endswith("dropout") else torch.cat([v[:1], -v[1:]]) for k, v in values.items()
    }
    assert torch.equal(together(other)[0], stacked[0])


@pytest.mark.parametrize("name", CONFIGS)
def test_gradients_reach_every_weight_but_that_of_padding(name: str) -> None:
    network, (tokens, lengths) = _build(name).train(), _texts()
    with core.random_keys(torch.tensor(3)):
        network(tokens, lengths).square().sum().backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        if key == "body.embed.weight":
            assert parameter.grad[0].eq(0).all()


# catalogue: A17
def test_order_means_nothing_to_a_bag_of_words_and_something_to_the_others() -> None:
    tokens, lengths = torch.tensor([[2, 3, 4, 5, 6]]), torch.tensor([5])
    for name in CONFIGS:
        network = _build(name)
        same = torch.allclose(network(tokens, lengths), network(tokens.flip(1), lengths), rtol=1e-9)
        assert same == (name == "bag of words"), name


def test_kims_convolution_has_the_weights_of_the_paper() -> None:
    # Kim 2014, CNN-rand: 300-dimensional words, 100 filters each over 3, 4 and 5 of them, two classes
    network = models.TextConvolution(width=300).build(core.TextShape(tokens=1000, length=50), 2)
    count = sum(p.numel() for p in network.parameters())
    assert count == 1000 * 300 + 100 * 300 * (3 + 4 + 5) + 300 + 300 * 2 + 2


def test_kims_convolution_equals_torchs() -> None:
    network, (tokens, lengths) = _build("convolution"), _texts()
    x = network.body.embed.weight[tokens[:1].long()].mT
    found = []
    for layer, size in zip(network.body.trunk.filters, (2, 3), strict=True):
        h = torch.nn.functional.conv1d(x, layer.weight, layer.bias, padding=size - 1)
        found.append(h.relu().amax(-1))
    head = network.body.head
    expected = torch.cat(found, -1) @ head.weight.T + head.bias
    torch.testing.assert_close(network(tokens, lengths)[:1], expected)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: models.TextBag(hidden=(4,)), "width"),
        (lambda: models.TextBag(width=-1), "width"),
        (lambda: models.TextLSTM(cell="lstn"), "lstm"),
        (lambda: models.TextLSTM(pool="mx"), "max"),
        (lambda: models.TextLSTM(hidden=0), "hidden"),
        (lambda: models.TextConvolution(kernels=()), "kernels"),
        (lambda: models.TextTransformer(position="one_hot"), "widens"),
        (lambda: models.TextTransformer(layers=0), "layers"),
        (lambda: models.TextTransformer(window=0), "window"),
    ],
)
def test_networks_that_cannot_be_built_are_refused(build: object, message: str) -> None:
    with pytest.raises(core.InputError, match=message):
        build()  # type: ignore[operator]
