"""Looking inside a model: which columns it uses."""

from tutti.inspection._permutation import Importance as Importance
from tutti.inspection._permutation import Importances as Importances
from tutti.inspection._permutation import feature_places as feature_places
from tutti.inspection._permutation import permutation_importance as permutation_importance
