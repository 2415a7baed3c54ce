"""Linear forecasters: one dense layer from a window to its future; DLinear's two, of trend and remainder."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor
from torch import nn as torch_nn
from torch.nn import functional

from tutti import core, nn
from tutti.models._series import SeriesModel, check_sizes


def dense(shape: core.SeriesShape, individual: bool) -> torch_nn.Module:
    """window -> horizon: one layer for all channels, or one for each."""
    if individual:
        return nn.FeatureLinear(shape.channels, shape.window, shape.horizon)
    return nn.Linear(shape.window, shape.horizon)


@dataclass(frozen=True, kw_only=True)
class SeriesLinear(SeriesModel):
    """y = W x + b on normalised windows.

    norm "last" makes it NLinear (Zeng et al. 2023), "standard" RLinear (Li et al. 2023). individual: a W for each
    channel instead of one for all.
    """

    name: ClassVar[str] = "linear"

    individual: bool = False

    def forecaster(self, shape: core.SeriesShape) -> torch_nn.Module:
        return dense(shape, self.individual)


class Decomposition(torch_nn.Module):
    """trend(m) + rest(x − m), m the moving average over `kernel` steps, the ends repeated (Zeng et al. 2023)."""

    stacked: ClassVar[bool] = True

    def __init__(self, shape: core.SeriesShape, kernel: int, individual: bool) -> None:
        super().__init__()
        self.kernel = kernel
        self.trend = dense(shape, individual)
        self.rest = dense(shape, individual)

    def forward(self, x: Float[Tensor, "*batch channel time"]) -> Float[Tensor, "*batch channel horizon"]:
        flat = x.flatten(0, -2)
        before = (self.kernel - 1) // 2
        padded = functional.pad(flat, (before, self.kernel - 1 - before), mode="replicate")
        mean = functional.avg_pool1d(padded, self.kernel, 1).view(x.shape)
        output: Tensor = self.trend(mean) + self.rest(x - mean)
        return output


@dataclass(frozen=True, kw_only=True)
class SeriesDLinear(SeriesModel):
    """DLinear (Zeng et al. 2023): a dense layer for the moving average over `kernel` steps, another for the rest.

    The paper's network has norm "none"; individual: layers for each channel.
    """

    name: ClassVar[str] = "dlinear"

    norm: str = "none"
    kernel: int = 25
    individual: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes(kernel=self.kernel)

    def forecaster(self, shape: core.SeriesShape) -> torch_nn.Module:
        return Decomposition(shape, self.kernel, self.individual)
