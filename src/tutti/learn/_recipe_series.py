"""The default recipe for time series to forecast."""

from tutti.core import SeriesShape, Setting
from tutti.learn._recipe import Recipe
from tutti.models import SeriesLinear
from tutti.optim import Cosine
from tutti.tasks import Task


def recipe(shape: SeriesShape, rows: int, task: Task) -> Recipe:
    """The recipe for so many training windows.

    RLinear: one dense layer on windows brought to mean 0 and standard deviation 1. On the validation months of ETTh1
    (96 steps ahead) its MSE was 0.670, with a hidden layer beside it 0.683 (docs/LOG.md).
    """
    return Recipe(
        model=SeriesLinear(),
        schedule=Cosine(warmup_fraction=0.1),
        batch_size=min(64 if rows >= 2_000 else 32, max(1, rows)),
        epochs=8.0 if rows >= 2_000 else 100.0,
        base=Setting(),
        rate=3e-3,
    )
