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

if TYPE_CHECKING:
    from tutti.learn import TuttiClassifier as TuttiClassifier
    from tutti.learn import TuttiRegressor as TuttiRegressor
    from tutti.learn import fit as fit
    from tutti.learn import load as load


def __getattr__(name: str) -> object:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"tutti has no attribute {name!r}; it has {', '.join(sorted(_HOMES))}")


def __dir__() -> list[str]:
    return sorted(__all__)
