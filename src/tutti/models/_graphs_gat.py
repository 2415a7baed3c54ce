"""Graph attention (Veličković et al. 2018; its second version, Brody et al. 2022) for many graphs."""

from dataclasses import dataclass
from typing import ClassVar

from tutti import core, nn
from tutti.models._graphs import GraphModel, GraphNetwork, NormedLayer


@dataclass(frozen=True, kw_only=True)
class GraphGAT(GraphModel):
    """Attention layers of `heads` heads that share the width, with normalisation and ReLU. second: the attention of
    GATv2. Edge features are not seen."""

    name: ClassVar[str] = "gat"

    heads: int = 4
    second: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.heads < 1 or self.width % self.heads:
            raise core.InputError(
                f"A width of {self.width} for {self.heads} heads.",
                fix="Use a number of heads that divides the width.",
            )

    def build(self, shape: core.GraphShape, outputs: int) -> GraphNetwork:
        """The network for graphs of this shape and so many outputs."""
        kind = nn.GATv2 if self.second else nn.GAT
        w, each = self.width, self.width // self.heads
        layers = [NormedLayer(kind(w, each, heads=self.heads), w, self.norm) for _ in range(self.layers)]
        return self.network(shape, outputs, layers)
