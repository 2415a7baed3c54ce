"""Forecasters: stacked = each member alone; channels by themselves; parity with torch; causality."""

import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from tutti import core, models

SHAPE = core.SeriesShape(channels=3, window=40, horizon=5, calendar=4)
ALONE = core.SeriesShape(channels=1, window=40, horizon=5)
CONFIGS: list[models.SeriesModel] = [
    models.SeriesLinear(),
    models.SeriesLinear(norm="last", individual=True),
    models.SeriesLinear(norm="mean", calendar=True),
    models.SeriesDLinear(kernel=7),
    models.SeriesDLinear(kernel=8, individual=True, norm="last"),
    models.SeriesMLP(hidden=(8, 6)),
    models.SeriesMLP(hidden=(8,), skip=False, dropout=False),
    models.SeriesTransformer(width=8, heads=2, layers=2),
    models.SeriesLSTM(width=8, layers=2),
    models.SeriesGRU(width=8, stretch=7),
    models.SeriesTCN(width=6, kernel=3),
]
NAMES = [f"{type(c).__name__} {i}" for i, c in enumerate(CONFIGS)]


def _inputs(*batch: int, shape: core.SeriesShape = SHAPE) -> tuple[Tensor, Tensor]:
    past = 3 + torch.randn(*batch, shape.window, shape.channels, dtype=torch.float64).cumsum(-2)
    return past, torch.randn(*batch, shape.calendar, dtype=torch.float64)


def _built(config: models.SeriesModel, shape: core.SeriesShape = SHAPE) -> models.SeriesNetwork:
    network = config.build(shape, shape.channels * shape.horizon).double()
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return network


@pytest.mark.parametrize("config", CONFIGS, ids=NAMES)
def test_stacked_is_each_member_alone(config: models.SeriesModel) -> None:
    members = [_built(config) for _ in range(3)]
    inputs = _inputs(3, 4)
    names = dict(members[0].state_dict())
    together = {name: torch.stack([m.state_dict()[name] for m in members]).requires_grad_() for name in names}
    output = functional_call(members[0].eval(), together, inputs)
    output.square().sum().backward()
    for i, member in enumerate(members):
        own = member.eval()(*(x[i] for x in inputs))
        torch.testing.assert_close(output[i], own, rtol=1e-10, atol=1e-10)
        own.square().sum().backward()
        for name, parameter in member.named_parameters():
            gradient = together[name].grad
            assert gradient is not None
            assert parameter.grad is not None
            torch.testing.assert_close(gradient[i], parameter.grad, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("config", CONFIGS, ids=NAMES)
def test_each_channel_is_forecast_from_its_own_past(config: models.SeriesModel) -> None:
    network = _built(config).eval()
    past, calendar = _inputs(2)
    changed = past.clone()
    changed[..., 1] = torch.randn(2, SHAPE.window)
    before, after = (network(x, calendar).view(2, SHAPE.horizon, 3) for x in (past, changed))
    torch.testing.assert_close(before[..., [0, 2]], after[..., [0, 2]])
    assert not torch.allclose(before[..., 1], after[..., 1])


@pytest.mark.parametrize("config", CONFIGS, ids=NAMES)
def test_gradients_are_right(config: models.SeriesModel) -> None:
    network = _built(config, ALONE).eval()
    past, calendar = _inputs(2, shape=ALONE)
    assert torch.autograd.gradcheck(lambda x: network(x, calendar), past.requires_grad_(), fast_mode=True)


def test_missing_values_stand_at_the_mean() -> None:
    network = _built(models.SeriesLinear(norm="none")).eval()
    past, calendar = _inputs(2)
    network.front.centre.copy_(torch.tensor([1.0, 2.0, 3.0]))
    filled = past.clone()
    past[:, :5, 1], filled[:, :5, 1] = torch.nan, 2.0
    torch.testing.assert_close(network(past, calendar), network(filled, calendar))


def test_dlinear_is_the_papers_sum_of_trend_and_rest() -> None:
    network = _built(models.SeriesDLinear(kernel=5), ALONE).eval()
    past, calendar = _inputs(2, shape=ALONE)
    x = past[..., 0]
    padded = torch.cat([x[:, :1].expand(-1, 2), x, x[:, -1:].expand(-1, 2)], 1)
    trend = padded.unfold(1, 5, 1).mean(-1)
    core_ = network.body.steps
    expected = functional.linear(trend, core_.trend.weight, core_.trend.bias)
    expected = expected + functional.linear(x - trend, core_.rest.weight, core_.rest.bias)
    torch.testing.assert_close(network(past, calendar), expected)


def test_convolutions_see_the_whole_window_and_no_later_step() -> None:
    config = models.SeriesTCN(width=6, kernel=3, norm="none")
    network = _built(config, ALONE).eval()
    x = torch.randn(1, 1, ALONE.window, dtype=torch.float64, requires_grad=True)
    states = network.body.steps.blocks(x)
    (seen,) = torch.autograd.grad(states[0, :, 20].sum(), x)
    assert not seen[0, 0, 21:].any()
    (seen,) = torch.autograd.grad(network.body.steps.blocks(x)[0, :, -1].abs().sum(), x)
    assert 1 + 2 * 2 * (2 ** config.depth(40) - 1) >= 40
    assert seen[0, 0, 0] != 0


@pytest.mark.parametrize(("window", "length", "stride", "count"), [(336, 16, 8, 41), (10, 16, 8, 1), (20, 6, 6, 3)])
def test_patches_end_with_the_window(window: int, length: int, stride: int, count: int) -> None:
    from tutti.models._series import Patches

    x = torch.arange(float(window))
    cut = Patches(window, length, stride)(x)
    assert cut.shape == (count, min(length, window))
    assert cut[-1, -1] == window - 1


def test_the_calendar_has_its_own_say() -> None:
    network = _built(models.SeriesLinear(calendar=True)).eval()
    past, calendar = _inputs(2)
    assert not torch.allclose(network(past, calendar), network(past, calendar + 1))
    assert models.SeriesLinear(calendar=True).build(ALONE, 5).body.calendar is None


def test_sizes_and_names_are_checked() -> None:
    with pytest.raises(core.InputError, match="15 outputs, not 7"):
        models.SeriesLinear().build(SHAPE, 7)
    with pytest.raises(core.InputError, match="width is 0"):
        models.SeriesGRU(width=0)
    with pytest.raises(core.InputError, match="standard"):
        models.SeriesLinear(norm="standart")
    assert set(models.MODELS["series"]) == {"linear", "dlinear", "mlp", "transformer", "lstm", "gru", "tcn"}
