"""The default recipe for the nodes of one graph."""

from tutti.core import NodeShape, Setting
from tutti.learn._recipe import Recipe
from tutti.models import GCN, NodeMPNN
from tutti.optim import Cosine
from tutti.tasks import Task

STEPS = 200


def recipe(shape: NodeShape, rows: int, task: Task) -> Recipe:
    """Two graph convolutions with dropout 0.5 and weight decay on the first (Kipf & Welling 2017), 64 units wide;
    where edges have features, and not weights alone, gated message passing, which sees these, with dropout 0.2.

    Every step computes all nodes and takes the loss at all training nodes: batches would save nothing.
    """
    said = shape.edge_features > shape.weighed
    return Recipe(
        model=NodeMPNN() if said else GCN(hidden=(64,)),
        schedule=Cosine(warmup_fraction=0.05),
        batch_size=max(1, rows),
        epochs=float(STEPS),
        base=Setting(dropout=0.2 if said else 0.5),
        rate=0.01,
    )
