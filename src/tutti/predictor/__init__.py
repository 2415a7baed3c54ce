"""The saved ensemble: what a fit leaves behind."""

from tutti.predictor._predictor import CUSTOM as CUSTOM
from tutti.predictor._predictor import Predictor as Predictor
