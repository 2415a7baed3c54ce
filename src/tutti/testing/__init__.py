"""The laws that a model, a layer, an update rule or a task has to keep, each with its measured error."""

from tutti.testing._battery import check_layer as check_layer
from tutti.testing._battery import check_optimizer as check_optimizer
from tutti.testing._battery import check_task as check_task
from tutti.testing._law import Law as Law
from tutti.testing._law import broken as broken
from tutti.testing._model import check_model as check_model
