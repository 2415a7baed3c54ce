"""The default recipe for signals."""

from dataclasses import replace

from tutti.core import Setting, SignalShape
from tutti.learn._recipe import Recipe
from tutti.models import InceptionTime
from tutti.optim import Cosine
from tutti.tasks import Task

STEPS = 600  # at least: passes over a few dozen signals are no measure of work
PER_CLASS = 60  # steps: 37 kinds of algae were told apart after 2,000, not after 600
EPOCHS = 15.0
AUGMENT = 0.5


def recipe(shape: SignalShape, rows: int, task: Task) -> Recipe:
    """The recipe for this many training signals of this shape.

    InceptionTime at 16 filters, AdamW, warm-up over a tenth of the steps, cosine to 0. A budget that leaves time is
    first spent on up to 1,500 steps, as Ismail Fawaz et al. (2020) train at least, then on augmentation, which is
    kept where it helps on the folds. A budget that is short trains the networks of all folds for three quarters of
    the steps before it trains one: five together answer better than one that has trained for a little longer, but
    not after half the steps where classes are many (docs/LOG.md).
    """
    batch = min(16 if rows < 500 else 32 if rows < 5_000 else 64, max(1, rows))
    base = Setting(weight_decay=0.01)
    steps = max(STEPS, PER_CLASS * task.outputs)
    return Recipe(
        model=InceptionTime(augment=True),
        schedule=Cosine(warmup_fraction=0.1),
        batch_size=batch,
        epochs=max(EPOCHS, steps * batch / max(1, rows)),
        base=base,
        others=(replace(base, augment=AUGMENT),),
        rate=3e-3,
        stretch=2.5,
        least=0.75,
    )
