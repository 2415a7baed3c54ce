"""Architectures, one family per file with its Config; `MODELS` finds them by name."""

from tutti.models._custom import custom_network as custom_network
from tutti.models._gat import GAT as GAT
from tutti.models._gcn import GCN as GCN
from tutti.models._graph import GraphModel as GraphModel
from tutti.models._graph import NodeGraph as NodeGraph
from tutti.models._graph import NodeNetwork as NodeNetwork
from tutti.models._linear import Linear as Linear
from tutti.models._mlp import MLP as MLP
from tutti.models._resmlp import ResMLP as ResMLP
from tutti.models._table import Model as Model
from tutti.models._table import TableModel as TableModel
from tutti.models._table import TableNetwork as TableNetwork
from tutti.models._tabm import TabM as TabM

MODELS: dict[str, type[Model]] = {model.name: model for model in (Linear, MLP, ResMLP, TabM)}
"""Name -> Config: core.configure("model", MODELS, {"name": "mlp", "hidden": [64, 64]}).build(shape, outputs)."""

GRAPH_MODELS: dict[str, type[GraphModel]] = {model.name: model for model in (GCN, GAT)}
"""Name -> Config of a network for the nodes of one graph: .build(graph, outputs)."""
