"""What is asked of a network: values, classes, labels, forecasts, a class for every pixel; inferred from a target."""

from tutti.tasks._affine import Affine as Affine
from tutti.tasks._affine import answers as answers
from tutti.tasks._classes import Binary as Binary
from tutti.tasks._classes import Multiclass as Multiclass
from tutti.tasks._classes import class_weights as class_weights
from tutti.tasks._forecast import Forecast as Forecast
from tutti.tasks._infer import KINDS as KINDS
from tutti.tasks._infer import TASKS as TASKS
from tutti.tasks._infer import infer as infer
from tutti.tasks._infer import task_from_json as task_from_json
from tutti.tasks._language import Language as Language
from tutti.tasks._language import pooled as pooled
from tutti.tasks._language import token_shares as token_shares
from tutti.tasks._multilabel import MultiLabel as MultiLabel
from tutti.tasks._regression import Regression as Regression
from tutti.tasks._regression import restore as restore
from tutti.tasks._regression import standardise as standardise
from tutti.tasks._regression import target_statistics as target_statistics
from tutti.tasks._segmentation import UNLABELLED as UNLABELLED
from tutti.tasks._segmentation import Segmentation as Segmentation
from tutti.tasks._task import Task as Task
from tutti.tasks._task import TaskKind as TaskKind
from tutti.tasks._temperature import best_temperature as best_temperature
from tutti.tasks._temperature import best_temperatures as best_temperatures
from tutti.tasks._temperature import tempered as tempered
from tutti.tasks._values import FAMILIES as FAMILIES
