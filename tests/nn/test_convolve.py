"""Convolution's laws: sizes, padding, shift, adjoint; its three ways for a stack agree; what does not fit is told."""

from collections.abc import Callable

import pytest
import torch
from torch.func import functional_call
from torch.nn import functional

from tutti import core, nn
from tutti.nn import _convolve


# catalogue: A3
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_output_sizes_are_the_formulas(stride: int, padding: int, dilation: int) -> None:
    for size in (7, 8, 11):
        for kernel in (1, 2, 3):
            conv = nn.Convolution(1, 1, kernel, axes=1, stride=stride, padding=padding, dilation=dilation)
            expected = nn.convolved_size(size, kernel, stride=stride, padding=padding, dilation=dilation)
            assert conv(torch.ones(1, 1, size)).shape[-1] == expected
            if dilation == 1:
                assert expected == (2 * padding + size - kernel) // stride + 1
            if 2 * padding <= kernel:
                pool = nn.MaxPool(kernel, axes=1, stride=stride, padding=padding, dilation=dilation)
                assert pool(torch.ones(1, 1, size)).shape[-1] == expected
            for extra in range(stride):
                back = nn.TransposedConvolution(
                    1, 1, kernel, axes=1, stride=stride, padding=padding, dilation=dilation, extra=extra
                )
                larger = nn.transposed_size(
                    size, kernel, stride=stride, padding=padding, dilation=dilation, extra=extra
                )
                assert back(torch.ones(1, 1, size)).shape[-1] == larger
                assert nn.convolved_size(larger, kernel, stride=stride, padding=padding, dilation=dilation) == size


def test_same_keeps_the_size() -> None:
    for kernel in range(1, 7):
        for dilation in (1, 2, 3):
            layer = nn.Convolution(2, 3, kernel, padding="same", dilation=dilation)
            assert layer(torch.zeros(1, 2, 9, 4)).shape == (1, 3, 9, 4)


def test_shifting_a_periodic_input_shifts_the_output() -> None:
    torch.manual_seed(0)
    layer = nn.Convolution(2, 3, (3, 4), padding="same", padding_mode="circular", dilation=(2, 1))
    x = torch.randn(2, 2, 7, 6)
    for shift in ((1, 0), (3, 2), (0, 5)):
        shifted = layer(x.roll(shift, (-2, -1)))
        torch.testing.assert_close(shifted, layer(x).roll(shift, (-2, -1)))
        torch.testing.assert_close(nn.GlobalPool()(shifted), nn.GlobalPool()(layer(x)))


def test_transposed_convolution_is_the_adjoint() -> None:
    torch.manual_seed(0)
    how = {"stride": 2, "padding": 1, "dilation": 2, "groups": 2, "bias": False}
    there = nn.Convolution(4, 6, 3, **how).double()
    back = nn.TransposedConvolution(6, 4, 3, **how).double()
    back.load_state_dict(there.state_dict())
    x = torch.randn(2, 4, 9, 7, dtype=torch.float64)
    y = torch.randn_like(there(x))
    torch.testing.assert_close((y * there(x)).sum(), (back(y) * x).sum())


@pytest.mark.parametrize(("axes", "theirs"), [(1, torch.nn.Conv1d), (2, torch.nn.Conv2d), (3, torch.nn.Conv3d)])
def test_convolutions_start_as_torchs(axes: int, theirs: Callable[..., torch.nn.Module]) -> None:
    torch.manual_seed(3)
    ours = nn.Convolution(4, 6, 3, axes=axes, groups=2)
    torch.manual_seed(3)
    expected = theirs(4, 6, 3, groups=2).state_dict()
    torch.testing.assert_close(ours.state_dict(), expected)
    torch.manual_seed(3)
    back = nn.TransposedConvolution(4, 6, 3, groups=2)
    torch.manual_seed(3)
    torch.testing.assert_close(back.state_dict(), torch.nn.ConvTranspose2d(4, 6, 3, groups=2).state_dict())


# catalogue: L9
def test_initialisers_of_a_convolution_count_the_places_of_the_kernel() -> None:
    torch.manual_seed(0)
    for name, spread in {"he_normal": (2 / (32 * 9)) ** 0.5, "glorot_normal": (2 / (96 * 9)) ** 0.5}.items():
        layer = nn.Convolution(32, 64, 3, init=name)
        assert layer.weight.std().item() == pytest.approx(spread, rel=0.02)
        assert not layer.bias.any()


@pytest.mark.parametrize(("inputs", "outputs", "groups"), [(3, 5, 1), (8, 16, 1), (6, 4, 2)])
def test_wide_grouped_and_looped_give_the_same_numbers(
    inputs: int, outputs: int, groups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    layer = nn.Convolution(inputs, outputs, 3, groups=groups, padding=1).double()
    values = {k: torch.randn(4, *v.shape, dtype=torch.float64) for k, v in layer.named_parameters()}
    one = torch.randn(1, 2, inputs, 5, 6, dtype=torch.float64).expand(4, -1, -1, -1, -1)
    wide = functional_call(layer, values, (one,))
    for pays in (True, False):
        monkeypatch.setattr(_convolve, "_groups_pay", lambda *_, pays=pays: pays)
        torch.testing.assert_close(functional_call(layer, values, (one.clone(),)), wide, rtol=1e-10, atol=1e-12)


def test_which_way_is_taken() -> None:
    calls: list[tuple[int, ...]] = []

    def convolve(x: torch.Tensor, weight: torch.Tensor, *rest: object) -> torch.Tensor:
        calls.append(tuple(weight.shape[:2]))
        result: torch.Tensor = functional.conv2d(x, weight, *rest)
        return result

    def ways(
        inputs: int, outputs: int, kernel: int, *, shared: bool = False, size: int = 6, **how: int
    ) -> list[tuple[int, ...]]:
        calls.clear()
        layer = nn.Convolution(inputs, outputs, kernel, **how)
        values = {k: v.detach().expand(4, *v.shape).clone() for k, v in layer.named_parameters()}
        x = torch.zeros(1 if shared else 4, 2, inputs, size, size).expand(4, -1, -1, -1, -1)
        functional_call(layer, values, (x,))
        return list(calls)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_convolve, "_CONVOLVE", (functional.conv1d, convolve, functional.conv3d))
        assert ways(3, 8, 3, shared=True) == [(32, 3)]
        assert ways(3, 8, 3) == [(8, 3)] * 4
        assert ways(8, 8, 3) == [(32, 8)]
        assert ways(8, 8, 1) == [(32, 8)]
        assert ways(32, 32, 1, size=45) == [(128, 32)]  # 2 · 45² · 64 numbers
        assert ways(32, 32, 1, size=46) == [(32, 32)] * 4
        assert ways(32, 32, 1, stride=2) == [(32, 32)] * 4
        assert ways(32, 32, 3) == [(128, 32)]
        assert ways(32, 32, 3, stride=2) == [(32, 32)] * 4
        assert ways(16, 16, 3, groups=16) == [(64, 1)]


def test_a_shared_input_whose_gradient_is_wanted_keeps_the_members_apart() -> None:
    layer = nn.Convolution(1, 2, 2)
    values = {k: torch.randn(3, *v.shape) for k, v in layer.named_parameters()}
    x = torch.randn(1, 2, 1, 4, 4).expand(3, -1, -1, -1, -1).detach().requires_grad_()
    functional_call(layer, values, (x,)).sum().backward()
    apart = x.detach().clone().requires_grad_()
    functional_call(layer, values, (apart,)).sum().backward()
    torch.testing.assert_close(x.grad, apart.grad)


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "kernel too large": (lambda: nn.Convolution(1, 1, 5)(torch.zeros(2, 1, 3, 8)), "kernel of 5 .* input of 3"),
    "kernel too large, dilated": (
        lambda: nn.Convolution(1, 1, 3, dilation=4, padding=1)(torch.zeros(2, 1, 6, 9)),
        r"dilation 4 \(reach 9\) .* 6 with padding 1: 8 < 9. Use padding of at least 2",
    ),
    "pool too large": (lambda: nn.MaxPool(4)(torch.zeros(2, 1, 3, 8)), "kernel of 4"),
    "average too large": (lambda: nn.AveragePool(4, axes=1)(torch.zeros(2, 1, 3)), "kernel of 4"),
    "channels": (lambda: nn.Convolution(3, 1, 1)(torch.zeros(2, 28, 28, 3)), "takes 3 channels, and got 28"),
    "channels, transposed": (lambda: nn.TransposedConvolution(3, 1, 1)(torch.zeros(2, 1, 4, 4)), "got 1"),
    "no channel axis": (lambda: nn.Convolution(1, 1, 3)(torch.zeros(2, 28, 28)), "unsqueeze"),
    "no channel axis, pool": (lambda: nn.MaxPool(2)(torch.zeros(28, 28)), "unsqueeze"),
    "no channel axis, flatten": (lambda: nn.Flatten()(torch.zeros(28, 28)), "unsqueeze"),
    "no channel axis, global": (lambda: nn.GlobalPool()(torch.zeros(28, 28)), "unsqueeze"),
    "groups": (lambda: nn.Convolution(3, 4, 1, groups=2), "3 channels to 4 in 2 groups"),
    "kernel 0": (lambda: nn.Convolution(1, 1, 0), "expected 2 whole numbers of at least 1"),
    "kernel of 3 axes": (lambda: nn.Convolution(1, 1, (3, 3, 3)), "expected 2 whole numbers"),
    "padding": (lambda: nn.Convolution(1, 1, 3, padding=-1), "padding is -1"),
    "padding name": (lambda: nn.Convolution(1, 1, 3, padding="sane"), "Did you mean 'same'"),
    "padding mode": (lambda: nn.Convolution(1, 1, 3, padding_mode="reflekt"), "Did you mean 'reflect'"),
    "same with stride": (lambda: nn.Convolution(1, 1, 3, padding="same", stride=2), "Use stride=1"),
    "reflect too far": (
        lambda: nn.Convolution(1, 1, 7, padding=3, padding_mode="reflect")(torch.zeros(1, 1, 3, 9)),
        "at least 4, and got 3",
    ),
    "pool padding": (lambda: nn.MaxPool(2, padding=2), "half the kernel"),
    "extra": (lambda: nn.TransposedConvolution(1, 1, 3, extra=1), "less than the stride"),
    "transposed to nothing": (
        lambda: nn.TransposedConvolution(1, 1, 1, padding=1)(torch.zeros(1, 1, 2, 2)),
        "has an output of 0",
    ),
    "axes": (lambda: nn.Convolution(1, 1, 1, axes=4), "4 axes of space"),
    "global": (lambda: nn.GlobalPool("maxx"), "Did you mean 'max'"),
    "upsample": (lambda: nn.Upsample(kind="nearst"), "Did you mean 'nearest'"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.filterwarnings("ignore")
def test_what_does_not_fit_is_told(name: str) -> None:
    build, message = BAD[name]
    with pytest.raises(core.InputError, match=message):
        build()


def test_a_kernel_that_does_not_fit_is_told_in_the_stacked_form_too() -> None:
    layer = nn.Convolution(1, 1, 5)
    values = {k: v.detach().expand(3, *v.shape) for k, v in layer.named_parameters()}
    with pytest.raises(core.InputError, match="kernel of 5"):
        functional_call(layer, values, (torch.zeros(3, 2, 1, 4, 4),))
    with pytest.raises(core.InputError, match="takes 1 channels, and got 2"):
        functional_call(layer, values, (torch.zeros(3, 2, 2, 6, 6),))
