"""Looking inside a model: the columns it uses, its computation graph, the curvature and the noise of its loss."""

from tutti.inspection._computation import ComputationGraph as ComputationGraph
from tutti.inspection._computation import Node as Node
from tutti.inspection._computation import computation_graph as computation_graph
from tutti.inspection._curvature import Curvature as Curvature
from tutti.inspection._curvature import curvature as curvature
from tutti.inspection._curvature import hessian_product as hessian_product
from tutti.inspection._curvature import lanczos as lanczos
from tutti.inspection._drawing import draw_graph as draw_graph
from tutti.inspection._noise import gradient_variance as gradient_variance
from tutti.inspection._permutation import Importance as Importance
from tutti.inspection._permutation import Importances as Importances
from tutti.inspection._permutation import feature_places as feature_places
from tutti.inspection._permutation import permutation_importance as permutation_importance
