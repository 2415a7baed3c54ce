"""Judging: baselines on the same folds, the optimism of a search, the quality of a fit, a verdict in words."""

from tutti.evaluation._baselines import Baseline as Baseline
from tutti.evaluation._baselines import fit_baselines as fit_baselines
from tutti.evaluation._by_kind import Inputs as Inputs
from tutti.evaluation._by_kind import inputs_for as inputs_for
from tutti.evaluation._fit_quality import Curves as Curves
from tutti.evaluation._fit_quality import FitQuality as FitQuality
from tutti.evaluation._fit_quality import fit_quality as fit_quality
from tutti.evaluation._optimism import Optimism as Optimism
from tutti.evaluation._optimism import optimism as optimism
from tutti.evaluation._verdict import verdict as verdict
