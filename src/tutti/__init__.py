"""tutti: any data, one call; every fit is a population; honest and made of glass.

The top level imports the standard library only. Everything else arrives when it is first asked for.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["TuttiClassifier", "TuttiRegressor", "__version__", "fit", "load"]

_HOMES = {
    "fit": "tutti.learn",
    "load": "tutti.learn",
    "TuttiClassifier": "tutti.learn",
    "TuttiRegressor": "tutti.learn",
}
_ROOMS = (
    "core",
    "data",
    "evaluation",
    "inspection",
    "lab",
    "learn",
    "metrics",
    "models",
    "nn",
    "optim",
    "predictor",
    "report",
    "runs",
    "search",
    "tasks",
    "testing",
    "training",
)

if TYPE_CHECKING:
    from tutti import core as core
    from tutti import data as data
    from tutti import evaluation as evaluation
    from tutti import inspection as inspection
    from tutti import lab as lab
    from tutti import learn as learn
    from tutti import metrics as metrics
    from tutti import models as models
    from tutti import nn as nn
    from tutti import optim as optim
    from tutti import predictor as predictor
    from tutti import report as report
    from tutti import runs as runs
    from tutti import search as search
    from tutti import tasks as tasks
    from tutti import testing as testing
    from tutti import training as training
    from tutti.learn import TuttiClassifier as TuttiClassifier
    from tutti.learn import TuttiRegressor as TuttiRegressor
    from tutti.learn import fit as fit
    from tutti.learn import load as load


def __getattr__(name: str) -> object:
    """What `learn` offers to all, and the rooms (tutti.models, tutti.metrics, …), imported at the first use."""
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _ROOMS:
        return import_module(f"tutti.{name}")
    from difflib import get_close_matches

    offered = sorted((*_HOMES, *_ROOMS))
    close = get_close_matches(name, offered, n=1)
    told = f"Did you mean {close[0]!r}?" if close else f"it has {', '.join(offered)}"
    raise AttributeError(f"tutti has no attribute {name!r}; {told}", name=name)


def __dir__() -> list[str]:
    return sorted((*__all__, *_ROOMS))
