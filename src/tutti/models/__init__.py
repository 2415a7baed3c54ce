"""Architectures, one family per file with its Config; `MODELS` finds them by kind of data and name."""

from tutti import core
from tutti.models._custom import custom_network as custom_network
from tutti.models._deepsets import DeepSets as DeepSets
from tutti.models._edges import EdgeModel as EdgeModel
from tutti.models._edges import EdgeNetwork as EdgeNetwork
from tutti.models._gat import GAT as GAT
from tutti.models._gat import EdgeGAT as EdgeGAT
from tutti.models._gcn import GCN as GCN
from tutti.models._gcn import EdgeGCN as EdgeGCN
from tutti.models._gin import GIN as GIN
from tutti.models._gin import EdgeGIN as EdgeGIN
from tutti.models._graphs import GraphModel as GraphModel
from tutti.models._graphs import GraphNetwork as GraphNetwork
from tutti.models._graphs_gat import GraphGAT as GraphGAT
from tutti.models._graphs_gcn import GraphGCN as GraphGCN
from tutti.models._graphs_gin import GraphGIN as GraphGIN
from tutti.models._graphs_mpnn import MPNN as MPNN
from tutti.models._graphs_sage import GraphSAGE as GraphSAGE
from tutti.models._images import ImageModel as ImageModel
from tutti.models._images import ImageNetwork as ImageNetwork
from tutti.models._images_resnet import ResNet as ResNet
from tutti.models._images_small import LeNet as LeNet
from tutti.models._images_small import SmallCNN as SmallCNN
from tutti.models._images_unet import UNet as UNet
from tutti.models._images_vit import ViT as ViT
from tutti.models._language import LanguageModel as LanguageModel
from tutti.models._language import LanguageNetwork as LanguageNetwork
from tutti.models._language_gpt import GPT as GPT
from tutti.models._language_lstm import LanguageLSTM as LanguageLSTM
from tutti.models._linear import Linear as Linear
from tutti.models._mlp import MLP as MLP
from tutti.models._model import Model as Model
from tutti.models._mpnn import EdgeMPNN as EdgeMPNN
from tutti.models._mpnn import NodeMPNN as NodeMPNN
from tutti.models._nodes import NodeModel as NodeModel
from tutti.models._nodes import NodeNetwork as NodeNetwork
from tutti.models._resmlp import ResMLP as ResMLP
from tutti.models._sage import SAGE as SAGE
from tutti.models._sage import EdgeSAGE as EdgeSAGE
from tutti.models._series import SeriesModel as SeriesModel
from tutti.models._series import SeriesNetwork as SeriesNetwork
from tutti.models._series_linear import SeriesDLinear as SeriesDLinear
from tutti.models._series_linear import SeriesLinear as SeriesLinear
from tutti.models._series_mlp import SeriesMLP as SeriesMLP
from tutti.models._series_recurrent import SeriesGRU as SeriesGRU
from tutti.models._series_recurrent import SeriesLSTM as SeriesLSTM
from tutti.models._series_tcn import SeriesTCN as SeriesTCN
from tutti.models._series_transformer import SeriesTransformer as SeriesTransformer
from tutti.models._set_attention import AttentionNetwork as AttentionNetwork
from tutti.models._set_attention import SetAttention as SetAttention
from tutti.models._sets import SetModel as SetModel
from tutti.models._sets import SetNetwork as SetNetwork
from tutti.models._settransformer import SetTransformer as SetTransformer
from tutti.models._signals import SignalModel as SignalModel
from tutti.models._signals import SignalNetwork as SignalNetwork
from tutti.models._signals_inception import InceptionTime as InceptionTime
from tutti.models._signals_linear import SignalLinear as SignalLinear
from tutti.models._signals_recurrent import SignalGRU as SignalGRU
from tutti.models._signals_recurrent import SignalLSTM as SignalLSTM
from tutti.models._signals_resnet import ResNet1D as ResNet1D
from tutti.models._signals_transformer import SignalTransformer as SignalTransformer
from tutti.models._table import TableModel as TableModel
from tutti.models._table import TableNetwork as TableNetwork
from tutti.models._tabm import TabM as TabM
from tutti.models._texts import TextModel as TextModel
from tutti.models._texts import TextNetwork as TextNetwork
from tutti.models._texts_bag import TextBag as TextBag
from tutti.models._texts_convolution import TextConvolution as TextConvolution
from tutti.models._texts_lstm import TextLSTM as TextLSTM
from tutti.models._texts_transformer import TextTransformer as TextTransformer

_ALL: tuple[type[Model], ...] = (
    UNet,
    *(Linear, MLP, ResMLP, TabM),
    *(ResNet, SmallCNN, LeNet, ViT),
    *(DeepSets, SetAttention, SetTransformer),
    *(InceptionTime, ResNet1D, SignalLSTM, SignalGRU, SignalTransformer, SignalLinear),
    *(GCN, GAT, SAGE, GIN, NodeMPNN),
    *(EdgeGCN, EdgeGAT, EdgeSAGE, EdgeGIN, EdgeMPNN),
    *(GraphGIN, GraphGCN, GraphGAT, GraphSAGE, MPNN),
    *(TextBag, TextConvolution, TextLSTM, TextTransformer),
    *(GPT, LanguageLSTM),
    *(SeriesLinear, SeriesDLinear, SeriesMLP, SeriesTransformer, SeriesLSTM, SeriesGRU, SeriesTCN),
)

MODELS: dict[str, dict[str, type[Model]]] = {
    kind: {model.name: model for model in _ALL if model.kind == kind} for kind in core.SHAPES
}
"""Kind of data -> name -> Config: core.configure("model", MODELS["table"], {"name": "mlp", "hidden": [64, 64]})."""
