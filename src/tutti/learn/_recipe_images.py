"""The default recipe for whole images."""

from tutti.core import ImageShape, Setting
from tutti.learn._recipe import Recipe
from tutti.models import ResNet
from tutti.optim import Cosine
from tutti.tasks import Task

LARGE = 64  # pixels of the shorter side


def recipe(shape: ImageShape, rows: int, task: Task) -> Recipe:
    """The recipe for images of this shape, with this many of them to train on.

    AdamW at one rate, cosine with a short warm-up; light shifts, turns and erasures; another strength where the time
    allows. No mirroring by itself: a mirrored 6 is none. Passes over the images become fewer the more there are.
    """
    small = min(shape.height, shape.width) < LARGE
    epochs = 60.0 if rows < 1_000 else 40.0 if rows < 5_000 else 20.0 if rows < 20_000 else 10.0
    base = Setting(weight_decay=0.05, augment=0.4)
    return Recipe(
        model=ResNet(depth=8, width=32, stem="pooled") if small else ResNet(depth=10, width=32),
        schedule=Cosine(warmup_fraction=0.1),
        batch_size=max(1, min(128 if rows >= 5_000 else 32, rows // 4)),
        epochs=epochs,
        base=base,
        rate=4e-3,
        stretch=2.0,
        others=(Setting(weight_decay=0.05), Setting(weight_decay=0.05, augment=0.4, flip=0.5)),
    )
