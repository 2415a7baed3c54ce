"""The default recipe for language models."""

from tutti.core import LanguageShape, Setting
from tutti.learn._recipe import Recipe
from tutti.models import GPT
from tutti.optim import Cosine
from tutti.tasks import Task

TOKENS = 1024  # predicted in a step
STEPS = 200, 2_500  # the fewest and the most
SHORT = 100_000  # windows; each token begins one
PASSES = 25  # over the text, where it is short: each token is then predicted so often


def recipe(shape: LanguageShape, rows: int, task: Task) -> Recipe:
    """The recipe for so many windows that train.

    GPT with 4 layers of 4 heads and width 128 (2 layers and width 64 for short texts), AdamW, warm-up over a
    twentieth of the steps, cosine to 0. Windows overlap, so a pass over them is many passes over the text: what is
    counted is steps, and where the text is short, passes over its tokens.
    """
    batch = min(max(1, round(TOKENS / shape.length)), max(1, rows))
    steps = min(max(STEPS[0], PASSES * rows // (batch * shape.length)), STEPS[1])
    small = rows < SHORT and rows * shape.length < 2**23  # else windows that begin far apart, of a long text
    return Recipe(
        model=GPT(layers=2, width=64) if small else GPT(),
        schedule=Cosine(warmup_fraction=0.05),
        batch_size=batch,
        epochs=steps * batch / max(1, rows),
        base=Setting(weight_decay=0.1),
        rate=2e-3,
    )
