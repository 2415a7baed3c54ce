"""Where all is wired: `fit`, the estimators, the default recipes, `rerun` and `resume`."""

from tutti.learn._estimators import TuttiClassifier as TuttiClassifier
from tutti.learn._estimators import TuttiRegressor as TuttiRegressor
from tutti.learn._fit import fit as fit
from tutti.learn._inspect import Inspection as Inspection
from tutti.learn._inspect import inspect as inspect
from tutti.learn._model import Model as Model
from tutti.learn._model import load as load
from tutti.learn._repeat import rerun as rerun
from tutti.learn._repeat import resume as resume
