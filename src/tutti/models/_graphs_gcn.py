"""Graph convolutions (Kipf & Welling 2017) for many graphs."""

from dataclasses import dataclass
from typing import ClassVar

from tutti import core, nn
from tutti.models._graphs import GraphModel, GraphNetwork, NormedLayer


@dataclass(frozen=True, kw_only=True)
class GraphGCN(GraphModel):
    """Graph convolutions with normalisation and ReLU; edge features are not seen."""

    name: ClassVar[str] = "gcn"

    def build(self, shape: core.GraphShape, outputs: int) -> GraphNetwork:
        """The network for graphs of this shape and so many outputs."""
        w = self.width
        layers = [NormedLayer(nn.GCN(w, w), w, self.norm) for _ in range(self.layers)]
        return self.network(shape, outputs, layers)
