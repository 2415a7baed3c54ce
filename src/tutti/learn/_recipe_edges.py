"""The default recipe for the edges of one graph."""

from tutti.core import EdgeShape, Setting
from tutti.learn._recipe import Recipe
from tutti.models import EdgeGCN, EdgeMPNN
from tutti.optim import Cosine
from tutti.tasks import Task

STEPS = 200


def recipe(shape: EdgeShape, rows: int, task: Task) -> Recipe:
    """Two graph convolutions; where edges have labels and features (and not weights alone), gated
    message passing, which sees these.

    Links want more dropout, of edges too: else a network learns to read off the graph which pairs it trains on.
    Every step computes all nodes and takes the loss at all training pairs: batches would save nothing.
    """
    wide = EdgeGCN(hidden=(128,), width=128, edge_dropout=shape.links)
    return Recipe(
        model=EdgeMPNN() if shape.edge_features > shape.weighed and not shape.links else wide,
        schedule=Cosine(warmup_fraction=0.05),
        batch_size=max(1, rows),
        epochs=float(STEPS),
        base=Setting(dropout=0.5 if shape.links else 0.2),
        rate=0.01,
    )
