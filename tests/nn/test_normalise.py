"""Normalisations' laws: what they take away, what running statistics become, which names there are."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from tutti import core, nn


# catalogue: L10
def test_batch_norm_in_training_uses_the_batch_and_keeps_unbiased_running_variance() -> None:
    torch.manual_seed(0)
    x = torch.randn(6, 3, dtype=torch.float64) * 2 + 5
    layer = nn.BatchNorm(3).double()
    y = layer(x)
    torch.testing.assert_close(y, (x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt())
    torch.testing.assert_close(layer.running_mean, 0.1 * x.mean(0))
    torch.testing.assert_close(layer.running_var, 0.9 + 0.1 * x.var(0, correction=1))
    mean, variance = layer.running_mean.clone(), layer.running_var.clone()
    torch.testing.assert_close(layer.eval()(x), (x - mean) / (variance + 1e-5).sqrt())
    torch.testing.assert_close(layer.running_mean, mean)


# catalogue: L10
@pytest.mark.parametrize("features", [3, 16])
def test_running_statistics_move_in_place_even_in_a_slice_of_a_longer_row(features: int) -> None:
    torch.manual_seed(0)
    layer = nn.BatchNorm(features)
    row = torch.zeros(4, 2 * features + 5)
    mean, variance = row[:, 2 : features + 2], row[:, features + 4 : 2 * features + 4]
    variance.fill_(1)
    x = torch.randn(4, 8, features)
    values = {k: v.detach().expand(4, features) for k, v in layer.named_parameters()}
    functional_call(layer, {**values, "running_mean": mean, "running_var": variance}, (x,))
    torch.testing.assert_close(row[:, 2 : features + 2], 0.1 * x.mean(1))
    torch.testing.assert_close(row[:, features + 4 : -1], 0.9 + 0.1 * x.var(1))
    assert not row[:, :2].any()
    kept = row.clone()
    layer.eval()
    functional_call(layer, {**values, "running_mean": mean, "running_var": variance}, (x,))
    assert torch.equal(row, kept)


@pytest.mark.parametrize("members", [0, 3])
def test_batch_norm_refuses_a_single_value_per_feature(members: int) -> None:
    layer = nn.BatchNorm(4, axes=1)
    values = dict(layer.state_dict())
    x = torch.ones(1, 4, 1)
    if members:
        values = {k: v.expand(members, 4).clone() for k, v in values.items()}
        x = torch.ones(members, 1, 4, 1)
    with pytest.raises(core.InputError, match="batch size of at least 2"):
        functional_call(layer, values, (x,))
    layer.eval()
    assert functional_call(layer, values, (x,)).shape == x.shape


def _moments(y: Tensor, over: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    return y.mean(over), y.var(over, correction=0)


# catalogue: L10
@pytest.mark.parametrize(
    ("build", "over"),
    [
        (lambda: nn.BatchNorm(32, axes=2), (0, 2, 3)),
        (lambda: nn.LayerNorm(32, axes=2), (1,)),
        (lambda: nn.GroupNorm(32, 1, axes=2), (1, 2, 3)),
        (lambda: nn.InstanceNorm(32), (2, 3)),
    ],
    ids=["batch", "layer", "group", "instance"],
)
def test_mean_becomes_0_and_variance_1_and_scale_and_shift_of_the_input_vanish(
    build: Callable[[], torch.nn.Module], over: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    x = torch.randn(5, 32, 4, 3, dtype=torch.float64)
    layer = build().double()
    mean, variance = _moments(layer(x), over)
    torch.testing.assert_close(mean, torch.zeros_like(mean))
    torch.testing.assert_close(variance, torch.ones_like(variance), atol=1e-3, rtol=0)
    torch.testing.assert_close(layer(1e4 * x + 3), layer(1e3 * x), atol=1e-4, rtol=1e-4)


# catalogue: L10
def test_rms_norm_divides_by_the_root_mean_square_alone() -> None:
    x = torch.tensor([[3.0, 4.0, 0.0, 0.0]])
    torch.testing.assert_close(nn.RMSNorm(4)(x), x / 2.5)
    torch.testing.assert_close(nn.RMSNorm(4)(10 * x), x / 2.5)
    by_channel = torch.randn(2, 4, 3, 5)
    expected = by_channel / by_channel.square().mean(1, keepdim=True).sqrt()
    torch.testing.assert_close(nn.RMSNorm(4, axes=2)(by_channel), expected, atol=1e-5, rtol=1e-4)


def test_layer_norm_of_channels_is_that_of_features_moved_last() -> None:
    layer = nn.LayerNorm(4, axes=2)
    torch.nn.init.normal_(layer.weight)
    x = torch.randn(2, 4, 3, 5)
    theirs = torch.nn.functional.layer_norm(x.permute(0, 2, 3, 1), (4,), layer.weight, layer.bias)
    torch.testing.assert_close(layer(x), theirs.permute(0, 3, 1, 2))


def test_groups_hold_about_16_features_and_divide_them() -> None:
    groups = {n: nn.GroupNorm(n, axes=2).groups for n in (1, 8, 16, 24, 32, 48, 64, 97, 100)}
    assert groups == {1: 1, 8: 1, 16: 1, 24: 1, 32: 2, 48: 3, 64: 4, 97: 1, 100: 5}


@pytest.mark.parametrize("axes", [0, 1, 2, 3])
def test_every_name_builds_a_layer_that_keeps_the_shape(axes: int) -> None:
    assert set(nn.NORMALISATIONS) == {"none", "batch", "layer", "rms", "group", "instance"}
    x = torch.randn(3, 32, *(4,) * axes)
    for name in nn.NORMALISATIONS:
        if name != "instance" or axes:
            assert nn.normalisation(name, 32, axes=axes)(x).shape == x.shape


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: nn.normalisation("bach", 4), "Did you mean 'batch'"),
        (lambda: nn.normalisation("instance", 4), "only zeros"),
        (lambda: nn.GroupNorm(6, 4, axes=1), "6 features in 4 groups"),
        (lambda: nn.GroupNorm(6, 6), "holds one value"),
        (lambda: nn.BatchNorm(4)(torch.zeros(2, 4, 3)), "axes=2"),
        (lambda: nn.GroupNorm(4, 2, axes=2)(torch.zeros(2, 4, 3)), "unsqueeze"),
    ],
)
def test_what_does_not_fit_is_told(build: Callable[[], object], message: str) -> None:
    with pytest.raises(core.InputError, match=message):
        build()
