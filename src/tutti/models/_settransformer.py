"""The set transformer: items look at each other through a few learned points."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Float
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._sets import SetModel, SetNetwork
from tutti.models._table import check_layers


class TransformedItems(torch_nn.Module):
    """A dense layer, blocks from sets to sets, and pooling by one learned vector."""

    stacked: ClassVar[bool] = True

    def __init__(self, inputs: int, width: int, heads: int, points: int, blocks: int) -> None:
        super().__init__()
        self.enter = nn.Linear(inputs, width)
        self.blocks = torch_nn.ModuleList(
            nn.InducedSetAttention(width, heads, points) if points else nn.SetAttention(width, heads)
            for _ in range(blocks)
        )
        self.pool = nn.SeedPool(width, heads)

    def forward(
        self, x: Float[Tensor, "*member batch item feature"], present: Bool[Tensor, "*member batch item"]
    ) -> Float[Tensor, "*member batch width"]:
        h = self.enter(x)
        for block in self.blocks:
            h = block(h, present)
        return self.pool(h, present).squeeze(-2)  # type: ignore[no-any-return]


@dataclass(frozen=True, kw_only=True)
class SetTransformer(SetModel):
    """ISAB blocks and pooling by attention (Lee et al. 2019, eq. 9–11), then the layers `head`.

    width, heads: of all attention. points: learned points that each block's items look through; 0: every item looks
    at every item (SAB), in time that grows with the square of their number. blocks: how many.
    """

    name: ClassVar[str] = "settransformer"

    width: int = 64
    heads: int = 4
    points: int = 16
    blocks: int = 2
    head: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_layers((self.width, self.blocks))
        if self.points < 0:
            raise core.InputError(f"{self.points} points; expected 0 or more.")

    def build(self, shape: core.SetShape, outputs: int) -> SetNetwork:
        """The network for sets of `shape` and so many outputs."""
        encode = TransformedItems(shape.features, self.width, self.heads, self.points, self.blocks)
        return self._network(shape, encode, self.width, outputs)
