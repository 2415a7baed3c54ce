"""Layers over space, normalisations, residuals: equal to torch's, differentiable, stacked = each member alone."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from torch import nn as torch_nn
from torch.func import functional_call, vmap

from tutti import core, nn

MEMBERS = 3


@dataclass(frozen=True)
class Row:
    """A layer, torch's counterpart (None: a test of its own compares), and the shape of one network's input."""

    ours: Callable[[], torch_nn.Module]
    theirs: Callable[[], torch_nn.Module] | None
    shape: tuple[int, ...]


C, T, N = nn.Convolution, nn.TransposedConvolution, torch_nn
LAYERS = {
    "conv 1d": Row(lambda: C(2, 3, 3, axes=1), lambda: N.Conv1d(2, 3, 3), (4, 2, 7)),
    "conv 1d, dilated, same, even": Row(
        lambda: C(2, 3, 4, axes=1, dilation=3, padding="same"),
        lambda: N.Conv1d(2, 3, 4, dilation=3, padding="same"),
        (2, 2, 11),
    ),
    "conv 2d": Row(lambda: C(2, 3, 3), lambda: N.Conv2d(2, 3, 3), (3, 2, 5, 6)),
    "conv 2d, blocks of 8": Row(
        lambda: C(8, 16, (3, 2), padding=(1, 0)), lambda: N.Conv2d(8, 16, (3, 2), padding=(1, 0)), (2, 8, 4, 3)
    ),
    "conv 2d, 1 × 1 of 32": Row(lambda: C(32, 32, 1), lambda: N.Conv2d(32, 32, 1), (2, 32, 3, 2)),
    "conv 2d, stride, groups, no bias": Row(
        lambda: C(4, 6, 3, stride=2, padding=1, groups=2, bias=False),
        lambda: N.Conv2d(4, 6, 3, stride=2, padding=1, groups=2, bias=False),
        (2, 4, 6, 5),
    ),
    "conv 2d, depthwise": Row(lambda: C(4, 4, 3, groups=4), lambda: N.Conv2d(4, 4, 3, groups=4), (2, 4, 5, 4)),
    "conv 3d": Row(lambda: C(2, 2, 2, axes=3, padding=1), lambda: N.Conv3d(2, 2, 2, padding=1), (2, 2, 2, 3, 2)),
    **{
        f"conv 2d, {mode}": Row(
            lambda mode=mode: C(2, 2, (2, 3), padding="same", padding_mode=mode),
            lambda mode=mode: N.Conv2d(2, 2, (2, 3), padding="same", padding_mode=mode),
            (2, 2, 4, 3),
        )
        for mode in ("reflect", "replicate", "circular")
    },
    "transposed 1d": Row(
        lambda: T(2, 3, 4, axes=1, stride=3, padding=1, extra=2),
        lambda: N.ConvTranspose1d(2, 3, 4, stride=3, padding=1, output_padding=2),
        (2, 2, 4),
    ),
    "transposed 2d, groups": Row(
        lambda: T(4, 6, 3, groups=2, dilation=2),
        lambda: N.ConvTranspose2d(4, 6, 3, groups=2, dilation=2),
        (2, 4, 3, 2),
    ),
    "transposed 2d, blocks of 8": Row(
        lambda: T(8, 8, 2, stride=2, bias=False),
        lambda: N.ConvTranspose2d(8, 8, 2, stride=2, bias=False),
        (2, 8, 2, 2),
    ),
    "transposed 3d": Row(lambda: T(2, 1, 2, axes=3), lambda: N.ConvTranspose3d(2, 1, 2), (2, 2, 2, 3, 2)),
    "max 1d": Row(lambda: nn.MaxPool(3, axes=1, padding=1), lambda: N.MaxPool1d(3, padding=1), (2, 3, 7)),
    "max 2d": Row(
        lambda: nn.MaxPool(2, stride=1, dilation=2), lambda: N.MaxPool2d(2, stride=1, dilation=2), (2, 3, 5, 4)
    ),
    "max 3d": Row(lambda: nn.MaxPool(2, axes=3), lambda: N.MaxPool3d(2), (2, 2, 2, 4, 3)),
    "average 1d": Row(lambda: nn.AveragePool(3, axes=1, stride=2), lambda: N.AvgPool1d(3, stride=2), (2, 3, 8)),
    "average 2d": Row(lambda: nn.AveragePool(2, padding=1), lambda: N.AvgPool2d(2, padding=1), (2, 3, 5, 4)),
    "average 3d": Row(lambda: nn.AveragePool(2, axes=3), lambda: N.AvgPool3d(2), (2, 2, 2, 4, 3)),
    "adaptive 1d": Row(lambda: nn.AdaptiveAveragePool(3, axes=1), lambda: N.AdaptiveAvgPool1d(3), (2, 3, 7)),
    "adaptive 2d": Row(lambda: nn.AdaptiveAveragePool((2, 3)), lambda: N.AdaptiveAvgPool2d((2, 3)), (2, 3, 5, 7)),
    "adaptive 3d": Row(lambda: nn.AdaptiveAveragePool(2, axes=3), lambda: N.AdaptiveAvgPool3d(2), (2, 2, 3, 4, 3)),
    "global mean": Row(
        lambda: nn.GlobalPool(), lambda: N.Sequential(N.AdaptiveAvgPool2d(1), N.Flatten()), (2, 3, 5, 4)
    ),
    "global max": Row(
        lambda: nn.GlobalPool("max", axes=1), lambda: N.Sequential(N.AdaptiveMaxPool1d(1), N.Flatten()), (2, 3, 5)
    ),
    "flatten": Row(lambda: nn.Flatten(axes=3), lambda: N.Flatten(), (2, 3, 2, 2, 3)),
    "nearest": Row(lambda: nn.Upsample(3, axes=3), lambda: N.Upsample(scale_factor=3), (2, 2, 2, 1, 3)),
    "linear 1d": Row(
        lambda: nn.Upsample(2, axes=1, kind="linear"), lambda: N.Upsample(scale_factor=2, mode="linear"), (2, 2, 5)
    ),
    "linear 2d": Row(
        lambda: nn.Upsample(2, kind="linear"), lambda: N.Upsample(scale_factor=2, mode="bilinear"), (2, 2, 3, 4)
    ),
    "batch": Row(lambda: nn.BatchNorm(4), lambda: N.BatchNorm1d(4), (6, 4)),
    "batch 1d": Row(lambda: nn.BatchNorm(4, axes=1), lambda: N.BatchNorm1d(4), (3, 4, 5)),
    "batch 2d": Row(
        lambda: nn.BatchNorm(4, axes=2, momentum=0.3), lambda: N.BatchNorm2d(4, momentum=0.3), (3, 4, 2, 3)
    ),
    "batch 3d": Row(lambda: nn.BatchNorm(2, axes=3), lambda: N.BatchNorm3d(2), (2, 2, 2, 2, 3)),
    "layer": Row(lambda: nn.LayerNorm(4), lambda: N.LayerNorm(4), (3, 4)),
    "layer, more axes": Row(lambda: nn.LayerNorm(4), lambda: N.LayerNorm(4), (3, 2, 5, 4)),
    "layer, channels": Row(lambda: nn.LayerNorm(4, axes=2), None, (3, 4, 2, 5)),
    "rms": Row(lambda: nn.RMSNorm(4), lambda: N.RMSNorm(4, eps=1e-6), (3, 5, 4)),
    "rms, channels": Row(lambda: nn.RMSNorm(4, axes=1), None, (3, 4, 5)),
    "group": Row(lambda: nn.GroupNorm(6, 2, axes=2), lambda: N.GroupNorm(2, 6), (3, 6, 2, 5)),
    "group, features": Row(lambda: nn.GroupNorm(6, 2), lambda: N.GroupNorm(2, 6), (3, 6)),
    "instance": Row(lambda: nn.InstanceNorm(4), lambda: N.InstanceNorm2d(4, affine=True), (3, 4, 2, 5)),
    "residual": Row(lambda: nn.Residual(nn.Linear(4, 4), norm=nn.RMSNorm(4)), None, (3, 4)),
    "residual, post": Row(
        lambda: nn.Residual(
            torch_nn.Sequential(C(2, 8, 3, padding=1), torch_nn.Tanh(), C(8, 8, 3, padding=1)),
            norm=nn.BatchNorm(8, axes=2),
            place="post",
            shortcut=C(2, 8, 1),
        ),
        None,
        (2, 2, 3, 4),
    ),
    "drop connect": Row(lambda: nn.DropConnect(4, 3, 0.3), None, (5, 4)),
    "channel dropout": Row(lambda: nn.ChannelDropout(0.4), None, (3, 4, 2, 2)),
    "alpha dropout": Row(lambda: nn.AlphaDropout(0.4), None, (3, 4)),
    "drop path": Row(lambda: nn.DropPath(0.4, share=0.5), None, (6, 4, 2)),
}
DRAWS = {"drop connect", "channel dropout", "alpha dropout", "drop path"}
rows = pytest.mark.parametrize("name", LAYERS)


def _made(build: Callable[[], torch_nn.Module], dtype: torch.dtype, seed: int = 0) -> torch_nn.Module:
    """The layer with every parameter random, so that nothing starts at 0 or 1."""
    torch.manual_seed(seed)
    layer = build().to(dtype)
    for name, value in [*layer.named_parameters(), *layer.named_buffers()]:
        if value.is_floating_point() and not name.endswith("dropout"):
            with torch.no_grad():
                value.copy_(torch.rand_like(value) + 0.5 if "var" in name else torch.randn_like(value))
    return layer


def _states(layers: list[torch_nn.Module]) -> dict[str, Tensor]:
    states = [layer.state_dict() for layer in layers]
    return {name: torch.stack([state[name].detach().clone() for state in states]) for name in states[0]}


def _keys(members: int) -> Tensor:
    return torch.arange(17, 17 + members, dtype=torch.int32)


# catalogue: A3, L10
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")  # torch copies there, and says so
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", [n for n, row in LAYERS.items() if row.theirs])
def test_layer_is_torchs_forward_and_backward(name: str, training: bool) -> None:
    row = LAYERS[name]
    ours = _made(row.ours, torch.float64).train(training)
    theirs = row.theirs().to(torch.float64).train(training)
    theirs.load_state_dict(ours.state_dict(), strict="batch" not in name)
    x = torch.randn(row.shape, dtype=torch.float64)
    inputs = [x.clone().requires_grad_(), x.clone().requires_grad_()]
    outputs = [layer(h) for layer, h in zip((ours, theirs), inputs, strict=True)]
    torch.testing.assert_close(*outputs)
    weights = torch.randn_like(outputs[0])
    for y in outputs:
        (y * weights).sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)
    kept = dict(theirs.named_buffers())
    for buffer, value in ours.named_buffers():
        torch.testing.assert_close(value, kept[buffer])


@rows
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    row = LAYERS[name]
    layer = _made(row.ours, torch.float64)
    x = torch.randn(row.shape, dtype=torch.float64, requires_grad=True)
    values = {k: v.detach().clone().requires_grad_() for k, v in layer.named_parameters()}

    def run(x: Tensor, *parameters: Tensor) -> Tensor:
        fresh = {k: v.clone() for k, v in layer.named_buffers()}  # running statistics move
        with core.random_keys(_keys(1)[0]):
            y: Tensor = functional_call(layer, {**dict(zip(values, parameters, strict=True)), **fresh}, (x,))
        return y

    torch.autograd.gradcheck(run, (x, *values.values()), fast_mode=True)


def _layouts(x: Tensor) -> dict[str, Tensor]:
    """The same stack of inputs, member after member in memory, and batch-major as a grouped convolution leaves it."""
    return {"member": x, "batch": x.transpose(0, 1).contiguous().transpose(0, 1)}


@pytest.mark.parametrize("layout", ["member", "batch", "shared"])
@rows
def test_stacked_is_each_member_alone(name: str, layout: str) -> None:
    row = LAYERS[name]
    layers = [_made(row.ours, torch.float64, seed) for seed in range(MEMBERS)]
    x = torch.randn(MEMBERS, *row.shape, dtype=torch.float64)
    x = x[:1].expand(x.shape) if layout == "shared" else _layouts(x)[layout]
    values = _states(layers)
    for k in dict(layers[0].named_parameters()):
        values[k].requires_grad_()
    stack = x.detach().requires_grad_(layout != "shared")
    with core.random_keys(_keys(MEMBERS)):
        together = functional_call(layers[0], values, (stack,))
    weights = torch.randn_like(together)
    (together * weights).sum().backward() if together.requires_grad else None
    for m, layer in enumerate(layers):
        alone_x = x[m].clone().requires_grad_(layout != "shared")
        with core.random_keys(_keys(MEMBERS)[m]):
            alone = layer(alone_x)
        close = {"rtol": 1e-10, "atol": 1e-12}
        torch.testing.assert_close(together[m], alone, **close)
        (alone * weights[m]).sum().backward() if alone.requires_grad else None
        if layout != "shared":
            torch.testing.assert_close(stack.grad[m], alone_x.grad, **close)
        for k, p in layer.named_parameters():
            torch.testing.assert_close(values[k].grad[m], p.grad, **close)
        for k, b in layer.named_buffers():
            torch.testing.assert_close(values[k][m], b, **close)


@pytest.mark.parametrize("name", [n for n in LAYERS if n not in DRAWS])
def test_stacked_is_vmap_of_the_plain_form(name: str) -> None:
    row = LAYERS[name]
    layers = [_made(row.ours, torch.float64, seed) for seed in range(MEMBERS)]
    x = torch.randn(MEMBERS, *row.shape, dtype=torch.float64)
    mapped = vmap(lambda values, h: functional_call(layers[0], values, (h,)))(_states(layers), x)
    torch.testing.assert_close(functional_call(layers[0], _states(layers), (x,)), mapped, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("layout", ["member", "batch"])
@rows
def test_a_member_does_not_depend_on_its_neighbours_bit_for_bit(name: str, layout: str) -> None:
    row = LAYERS[name]
    layers = [_made(row.ours, torch.float32, seed) for seed in range(5)]
    x = torch.randn(5, *row.shape)

    def outcome(chosen: list[int], slot: int) -> list[Tensor]:
        values = _states([layers[m] for m in chosen])
        for k in dict(layers[0].named_parameters()):
            values[k].requires_grad_()
        stack = _layouts(x[chosen])[layout].requires_grad_()
        with core.random_keys(_keys(5)[chosen]):
            y = functional_call(layers[0], values, (stack,))
        y.square().sum().backward()
        gradients = [v.grad[slot] for v in values.values() if v.grad is not None]
        return [y[slot], stack.grad[slot], *gradients, *[v[slot].detach() for v in values.values()]]

    for a, b in zip(outcome([0, 1, 2, 3, 4], 1), outcome([4, 2, 1], 2), strict=True):
        assert torch.equal(a, b)
