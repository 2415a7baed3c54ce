"""Reversible normalisation: the law of its name, and gradients."""

import pytest
import torch

from tutti import core, nn


@pytest.mark.parametrize(("kind", "scale"), [("last", 1.0), ("mean", 1.0), ("standard", 7.0)])
def test_shifted_and_scaled_windows_have_shifted_and_scaled_forecasts(kind: str, scale: float) -> None:
    norm, layer = nn.ReversibleNorm(kind, epsilon=0.0), torch.nn.Linear(8, 3).double()
    x = torch.randn(2, 5, 8, dtype=torch.float64)

    def forecast(window: torch.Tensor) -> torch.Tensor:
        y, level = norm(window)
        return norm.restore(torch.tanh(layer(y)), level)

    torch.testing.assert_close(forecast(scale * x + 40), scale * forecast(x) + 40)


@pytest.mark.parametrize("kind", nn.WINDOW_NORMS)
def test_what_is_taken_is_given_back(kind: str) -> None:
    norm = nn.ReversibleNorm(kind)
    x = 3 + 2 * torch.randn(4, 9, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(norm.restore(*norm(x)), x)
    assert torch.autograd.gradcheck(lambda x: norm(x)[0], x)


def test_standard_windows_have_mean_0_and_deviation_1() -> None:
    y, _ = nn.ReversibleNorm("standard")(5 + 3 * torch.randn(4, 900))
    torch.testing.assert_close(y.mean(-1), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.std(-1, correction=0), torch.ones(4), atol=1e-5, rtol=0)


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(core.InputError, match="standard"):
        nn.ReversibleNorm("standart")
