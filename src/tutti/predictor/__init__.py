"""The saved ensemble: what a fit leaves behind."""

from tutti.predictor._generate import Sampling as Sampling
from tutti.predictor._generate import generate as generate
from tutti.predictor._predictor import CUSTOM as CUSTOM
from tutti.predictor._predictor import Predictor as Predictor
