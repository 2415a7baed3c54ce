"""Architectures, one family per file with its Config; `MODELS` finds them by kind of data and name."""

from tutti import core
from tutti.models._custom import custom_network as custom_network
from tutti.models._deepsets import DeepSets as DeepSets
from tutti.models._gat import GAT as GAT
from tutti.models._gcn import GCN as GCN
from tutti.models._gin import GIN as GIN
from tutti.models._linear import Linear as Linear
from tutti.models._mlp import MLP as MLP
from tutti.models._model import Model as Model
from tutti.models._nodes import NodeModel as NodeModel
from tutti.models._nodes import NodeNetwork as NodeNetwork
from tutti.models._resmlp import ResMLP as ResMLP
from tutti.models._sage import SAGE as SAGE
from tutti.models._set_attention import SetAttention as SetAttention
from tutti.models._sets import SetModel as SetModel
from tutti.models._sets import SetNetwork as SetNetwork
from tutti.models._settransformer import SetTransformer as SetTransformer
from tutti.models._table import TableModel as TableModel
from tutti.models._table import TableNetwork as TableNetwork
from tutti.models._tabm import TabM as TabM

_ALL: tuple[type[Model], ...] = (
    *(Linear, MLP, ResMLP, TabM),
    *(DeepSets, SetAttention, SetTransformer),
    *(GCN, GAT, SAGE, GIN),
)

MODELS: dict[str, dict[str, type[Model]]] = {
    kind: {model.name: model for model in _ALL if model.kind == kind} for kind in core.SHAPES
}
"""Kind of data -> name -> Config: core.configure("model", MODELS["table"], {"name": "mlp", "hidden": [64, 64]})."""
