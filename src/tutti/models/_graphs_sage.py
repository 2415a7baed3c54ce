"""GraphSAGE (Hamilton et al. 2017) for many graphs."""

from dataclasses import dataclass
from typing import ClassVar

from tutti import core, nn
from tutti.models._graphs import GraphModel, GraphNetwork, NormedLayer
from tutti.models._table import check_choice


@dataclass(frozen=True, kw_only=True)
class GraphSAGE(GraphModel):
    """GraphSAGE layers with normalisation and ReLU; how: what stands for the neighbours, "mean", "sum" or "max".
    Edge features are not seen."""

    name: ClassVar[str] = "sage"

    how: str = "mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("aggregation", [self.how], ["mean", "sum", "max"])

    def build(self, shape: core.GraphShape, outputs: int) -> GraphNetwork:
        """The network for graphs of this shape and so many outputs."""
        w = self.width
        layers = [NormedLayer(nn.SAGE(w, w, how=self.how), w, self.norm) for _ in range(self.layers)]
        return self.network(shape, outputs, layers)
