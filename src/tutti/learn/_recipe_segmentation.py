"""The default recipe for a class of every pixel."""

from tutti.core import ImageShape, Setting
from tutti.learn._recipe import Recipe
from tutti.models import UNet
from tutti.optim import Cosine
from tutti.tasks import TaskKind

SIDE = 96  # pixels of an image's shorter side from which it is halved three times


def recipe(shape: ImageShape, rows: int, kind: TaskKind) -> Recipe:
    """A U-Net with 16 channels at full size, halved three times (twice where images are small), with batch norm.

    Whole images make a batch, few where they are large: about 2^19 pixels, of which neighbours say much the same.
    AdamW at 3e-3, warm-up over a tenth of the steps, cosine to 0.
    """
    pixels = shape.height * shape.width
    batch = max(1, min(16, rows // 4, 2**19 // pixels))
    return Recipe(
        model=UNet(depth=3 if min(shape.height, shape.width) >= SIDE else 2),
        schedule=Cosine(warmup_fraction=0.1),
        batch_size=batch,
        epochs=40.0,
        base=Setting(weight_decay=1e-2),
        rate=3e-3,
    )
