"""The default recipe for tables: which network, how long, over which settings."""

from dataclasses import dataclass
from math import ceil

from tutti.core import Setting, TableShape
from tutti.models import MLP, TableModel
from tutti.optim import Cosine, Schedule


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network for this kind of data is trained where the user says nothing."""

    model: TableModel
    schedule: Schedule
    batch_size: int
    epochs: float
    base: Setting
    rates: tuple[float, float] = (3e-4, 3e-2)

    def horizon(self, rows: int) -> int:
        """Steps for this many training rows."""
        return max(20, ceil(self.epochs * rows / self.batch_size))


def table_recipe(shape: TableShape, rows: int) -> Recipe:
    """The recipe for a table with this many training rows.

    Chosen by cross-validation on a named half of the shared tables (docs/LOG.md): AdamW, clipping at norm 1,
    warm-up, cosine; a network whose width and whose number of steps grow with the rows.
    """
    width = 64 if rows < 500 else 128 if rows < 20_000 else 256
    epochs = 80.0 if rows < 1_000 else 60.0 if rows < 5_000 else 30.0 if rows < 50_000 else 10.0
    batch = 32 if rows < 1_000 else 64 if rows < 5_000 else 256 if rows < 100_000 else 1024
    return Recipe(
        model=MLP(hidden=(width, width)),
        schedule=Cosine(warmup_fraction=0.1),
        batch_size=min(batch, max(1, rows)),
        epochs=epochs,
        base=Setting(),
    )
