"""Networks for signals: padding changes nothing, stacked = alone, counts of weights, bad options."""

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from tutti import core, models, nn
from tutti.core import InputError

CONFIGS: dict[str, models.SignalModel] = {
    "inception": models.InceptionTime(filters=2, kernels=(3, 6), depth=4, pool=2, dropout=True, augment=True),
    "resnet": models.ResNet1D(widths=(3, 4), kernels=(4, 3), pool=3),
    "lstm": models.SignalLSTM(hidden=3, patch=2, dropout=True),
    "gru": models.SignalGRU(hidden=3, layers=1, bidirectional=False),
    "transformer": models.SignalTransformer(width=8, heads=2, layers=1, patch=4),
    "linear": models.SignalLinear(),
    "inception of a spectrogram": models.InceptionTime(
        filters=2, kernels=(3,), depth=3, spectrogram="mel", bands=4, frame=0.08, hop=0.02
    ),
}
SHAPE = core.SignalShape(channels=2, length=30, rate=100.0, equal=False)


def built(name: str, shape: core.SignalShape = SHAPE) -> torch.nn.Module:
    torch.manual_seed(0)
    return CONFIGS[name].build(shape, 3).double()


def signals() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    lengths = torch.tensor([30, 7, 19, 1])
    x = torch.randn(4, 2, 30, dtype=torch.float64)
    return x.where(torch.arange(30) < lengths[:, None, None], 0), lengths


# catalogue: D3, A12, A36
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", CONFIGS)
def test_padding_changes_nothing(name: str, training: bool) -> None:
    x, lengths = signals()
    longer = core.SignalShape(channels=2, length=41, rate=100.0, equal=False)
    shape = longer if name in ("transformer", "linear") else SHAPE
    network = built(name, shape).train(training)
    filled = torch.nn.functional.pad(x, (0, 11), value=5.0)
    for row, n in enumerate(lengths.tolist()):
        filled[row, :, n:] = torch.nan if row % 2 else 1e3
    results, states = [], []
    start = {k: v.clone() for k, v in network.state_dict().items()}
    for given in (x, filled):
        network.load_state_dict(start)
        network.body.augment = None  # it and dropout draw for each place, of which there are more
        for part in network.modules():
            if isinstance(part, nn.Dropout):
                part.dropout.zero_()
        with core.random_keys(torch.tensor(3)):
            results.append(network(given, lengths))
        states.append({k: v.clone() for k, v in network.state_dict().items()})
    assert results[0].isfinite().all()
    torch.testing.assert_close(*results, rtol=1e-10, atol=1e-12)
    for key, value in states[0].items():
        torch.testing.assert_close(value, states[1][key], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_stack_is_each_member_alone(name: str, training: bool) -> None:
    network = built(name).train(training)
    body = network.body
    x, lengths = network.front(*signals())
    members = 3
    values = {k: torch.randn(members, *v.shape, dtype=torch.float64) * 0.3 for k, v in body.named_parameters()}
    constants = {k for k, _ in body.named_buffers() if k.rsplit(".")[-1] in ("table", "window", "filters")}
    buffers = {k: v.expand(members, *v.shape).clone() for k, v in body.named_buffers() if k not in constants}
    keys = torch.tensor([5, 6, 7])
    start = {k: v.clone() for k, v in buffers.items()}
    with core.random_keys(keys):
        stacked = functional_call(body, values | buffers, (x.expand(3, *x.shape), lengths.expand(3, -1)))
    for member in range(members):
        own = {k: v[member].clone() for k, v in (values | start).items()}
        with core.random_keys(keys[member]):
            alone = functional_call(body, own, (x, lengths))
        torch.testing.assert_close(stacked[member], alone, rtol=1e-10, atol=1e-12)
        for key in buffers:
            torch.testing.assert_close(buffers[key][member], own[key], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_weight_has_a_gradient_and_integers_are_sound(name: str) -> None:
    network = built(name).float()
    x, lengths = signals()
    with core.random_keys(torch.tensor(3)):
        network((x * 1000).to(torch.int16), lengths).square().sum().backward()
    missing = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert missing == []
    assert not list(network.front.parameters())


# catalogue: A36
def test_inception_time_has_the_papers_count() -> None:
    """InceptionTime of Ismail Fawaz et al. 2020 (depth 6, 32 filters, kernels 40, 20, 10), one channel, two classes.

    First module 32 (40 + 20 + 10) + 32 for the maximum's; each other 128 · 32 + 32 · 32 · 70 + 128 · 32; six batch
    norms of 2 · 128; two shortcuts 128 + 128² with 2 · 128 each; the last layer 2 · 129.
    """
    model = models.InceptionTime(filters=32, kernels=(40, 20, 10), pool=1)
    network = model.build(core.SignalShape(channels=1, length=100), 2)
    first, other = 32 * 70 + 32, 2 * 128 * 32 + 32 * 32 * 70
    expected = first + 5 * other + 6 * 256 + 128 + 128**2 + 2 * 256 + 2 * 129
    assert sum(p.numel() for p in network.parameters()) == expected == 420_450


def test_sound_becomes_a_spectrogram_and_long_signals_means() -> None:
    model = models.InceptionTime()
    heard = model.build(core.SignalShape(channels=1, length=8000, rate=8000.0), 2)
    assert heard.front.channels == 40
    assert model.build(core.SignalShape(channels=1, length=8000, rate=100.0), 2).front.channels == 1
    assert models.ResNet1D().sizes(core.SignalShape(channels=3, length=2000)) == (3, 500)
    assert model.build(core.SignalShape(channels=1, length=1280), 2).body.trunk.pool.size == 10


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: models.InceptionTime(spectrogram="mell"), "mel"),
        (lambda: models.InceptionTime(kernels=()), "kernels"),
        (lambda: models.ResNet1D(widths=()), "widths"),
        (lambda: models.SignalLSTM(hidden=0), "hidden"),
        (lambda: models.SignalTransformer(position="one_hot"), "widens"),
        (lambda: models.InceptionTime(pool=-1), "pool"),
        (lambda: models.InceptionTime(spectrogram="mel").build(core.SignalShape(channels=1, length=9), 2), "rate"),
    ],
)
def test_wrong_options_are_refused(make: object, told: str) -> None:
    assert callable(make)
    with pytest.raises(InputError, match=told):
        make()
