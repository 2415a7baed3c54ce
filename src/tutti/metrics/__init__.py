"""Scores with intervals: what a model reaches, how sure that is, where it errs, and how two models differ."""

from tutti.metrics._conformal import Band as Band
from tutti.metrics._conformal import conformal_band as conformal_band
from tutti.metrics._conformal import coverage as coverage
from tutti.metrics._curves import Calibration as Calibration
from tutti.metrics._curves import CalibrationBin as CalibrationBin
from tutti.metrics._curves import Residuals as Residuals
from tutti.metrics._curves import calibration_curve as calibration_curve
from tutti.metrics._curves import confusion as confusion
from tutti.metrics._curves import residual_curve as residual_curve
from tutti.metrics._intervals import Interval as Interval
from tutti.metrics._intervals import bootstrap as bootstrap
from tutti.metrics._intervals import corrected_cv_interval as corrected_cv_interval
from tutti.metrics._intervals import resample_counts as resample_counts
from tutti.metrics._intervals import unit_numbers as unit_numbers
from tutti.metrics._intervals import unit_sums as unit_sums
from tutti.metrics._intervals import wilson as wilson
from tutti.metrics._metric import METRICS as METRICS
from tutti.metrics._metric import Kind as Kind
from tutti.metrics._metric import Metric as Metric
from tutti.metrics._metric import metric_of as metric_of
from tutti.metrics._metric import metrics_for as metrics_for
from tutti.metrics._score import Difference as Difference
from tutti.metrics._score import Score as Score
from tutti.metrics._score import paired_difference as paired_difference
from tutti.metrics._score import score as score
