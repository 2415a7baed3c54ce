"""Dropout's kin: what is dropped together, how often, and what stays the same in the mean."""

from collections.abc import Callable

import pytest
import torch
from torch.func import functional_call

from tutti import core, nn

KEYS = torch.arange(3, dtype=torch.int32)


# catalogue: L12
def test_channel_dropout_drops_whole_channels_of_single_samples() -> None:
    x = torch.ones(400, 50, 3, 2)
    with core.random_keys(KEYS[0]):
        y = nn.ChannelDropout(0.3)(x)
    assert (y == y[:, :, :1, :1]).all()
    torch.testing.assert_close(y.unique(), torch.tensor([0, 1 / 0.7]))
    assert (y[:, :, 0, 0] == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)


# catalogue: L12
def test_drop_path_drops_whole_samples_at_its_share_of_the_rate() -> None:
    x = torch.ones(20_000, 3, 2)
    with core.random_keys(KEYS[0]):
        y = nn.DropPath(0.4, share=0.5)(x)
    assert (y == y[:, :1, :1]).all()
    torch.testing.assert_close(y.unique(), torch.tensor([0, 1 / 0.8]))
    assert (y[:, 0, 0] == 0).float().mean().item() == pytest.approx(0.2, abs=0.01)


# catalogue: L12
def test_alpha_dropout_keeps_mean_0_and_variance_1() -> None:
    torch.manual_seed(0)
    x = torch.randn(1_000_000)
    with core.random_keys(KEYS[0]):
        y = nn.AlphaDropout(0.3)(x)
        dropped = nn.AlphaDropout(0.3)(torch.full_like(x, 7.0))
    assert y.mean().item() == pytest.approx(0, abs=0.005)
    assert y.var().item() == pytest.approx(1, abs=0.01)
    low, high = dropped.unique().tolist()
    a = (0.7 * (1 + 0.3 * 1.7580993408473766**2)) ** -0.5
    assert low == pytest.approx(a * (-1.7580993408473766) * 0.7, rel=1e-4)
    assert high == pytest.approx(a * (7 + 0.3 * 1.7580993408473766), rel=1e-4)
    assert torch.selu(torch.tensor(-50.0)).item() == pytest.approx(nn.AlphaDropout.limit)


# catalogue: L12
def test_drop_connect_drops_weights_and_is_the_plain_layer_in_the_mean() -> None:
    torch.manual_seed(0)
    layer = nn.DropConnect(100, 80, 0.3)
    with core.random_keys(KEYS[0]):
        seen = (layer(torch.eye(100)) - layer.bias).T
    gone = seen == 0
    assert gone.float().mean().item() == pytest.approx(0.3, abs=0.02)
    torch.testing.assert_close(seen[~gone], (layer.weight / 0.7)[~gone], atol=1e-6, rtol=1e-4)
    x = torch.randn(5, 100)
    plain = torch.nn.functional.linear(x, layer.weight, layer.bias)
    torch.testing.assert_close(layer.eval()(x), plain)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.ChannelDropout(), (60, 40, 2, 2)),
        (nn.AlphaDropout(), (60, 40)),
        (nn.DropPath(), (2000, 4)),
        (nn.DropConnect(40, 50), (3, 40)),
    ],
    ids=["channel", "alpha", "path", "connect"],
)
def test_each_member_has_its_own_rate(layer: torch.nn.Module, shape: tuple[int, ...]) -> None:
    rates = torch.tensor([0.0, 0.2, 0.6])
    values = {k: v.detach().expand(3, *v.shape) for k, v in layer.named_parameters()}
    x = torch.full((3, *shape), 3.0)
    seen: list[torch.Tensor] = []

    def draw(like: torch.Tensor) -> torch.Tensor:
        seen.append(torch.linspace(0, 1, like[0].numel() + 1)[:-1].view(like[0].shape).expand(like.shape))
        return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core, "draw_uniform", draw)
        together = functional_call(layer, {**values, "dropout": rates}, (x,))
        for m, rate in enumerate(rates):
            patch.setattr(core, "draw_uniform", lambda like: seen[0][0])
            alone = functional_call(layer, {**{k: v[m] for k, v in values.items()}, "dropout": rate}, (x[m],))
            torch.testing.assert_close(together[m], alone)
    assert not torch.equal(together[1], together[2])
    torch.testing.assert_close(
        together[0], functional_call(layer.eval(), {k: v[0] for k, v in values.items()}, (x[0],))
    )


@pytest.mark.parametrize("build", [nn.ChannelDropout, nn.AlphaDropout, nn.DropPath])
def test_evaluation_changes_nothing(build: Callable[[float], torch.nn.Module]) -> None:
    x = torch.randn(4, 3, 2, 2)
    assert build(0.5).eval()(x) is x


@pytest.mark.parametrize(
    "build", [lambda: nn.ChannelDropout(1.0), lambda: nn.DropPath(-0.1), lambda: nn.DropPath(0.1, share=2.0)]
)
def test_impossible_rates_are_refused(build: Callable[[], object]) -> None:
    with pytest.raises(core.InputError, match="expected a number in"):
        build()
