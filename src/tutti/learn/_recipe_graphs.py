"""The default recipe for many graphs."""

from tutti.core import GraphShape, Setting
from tutti.learn._recipe import Recipe
from tutti.models import GraphGIN
from tutti.optim import Cosine
from tutti.tasks import Task


def recipe(shape: GraphShape, rows: int, task: Task) -> Recipe:
    """Isomorphism layers whose readouts stand side by side; sums over nodes.

    Rate, dropout and passes from single 80/10/10 splits of ESOL, ENZYMES, PROTEINS and IMDB-MULTI (docs/LOG.md).
    """
    return Recipe(
        model=GraphGIN(dropout=True),
        schedule=Cosine(warmup_fraction=0.05),
        batch_size=min(32 if rows < 5_000 else 128, max(1, rows)),
        epochs=60.0 if rows < 5_000 else 20.0,
        base=Setting(dropout=0.2),
        rate=3e-3,
    )
