"""The default recipe for tables."""

from dataclasses import replace

from tutti.core import Setting, TableShape
from tutti.learn._recipe import Recipe
from tutti.models import MLP
from tutti.optim import Cosine
from tutti.tasks import Task

EMBEDDED = 40
DROPOUT = 0.2  # of classes
FEW = 2_000  # training rows below which classes ask for a calmer network, and a regression for more passes


def recipe(shape: TableShape, rows: int, task: Task) -> Recipe:
    """The recipe for a table with this many training rows.

    AdamW, clipping at norm 1, warm-up over a tenth of the steps, cosine to 0; two hidden layers whose width grows
    with the rows. Up to EMBEDDED quantities (numeric features of more than two values) each get a small periodic
    embedding (PBLD of RealMLP); more of them (pixels, spectra) are standardised.
    Quantile scaling and quick waves fit closely, which many rows and every regression reward: the more rows, the
    quicker; few rows, twice the passes. Classes get dropout, and where rows are few, calm: robust scaling with its
    smooth clip and slow waves (both RealMLP's), and 20 passes.
    Chosen by cross-validation on the develop half of the shared tables (benchmarks/_tables.py; docs/LOG.md).
    """
    width = 64 if rows < 2_000 else 128 if rows < 100_000 else 256
    epochs = 60.0 if rows < 1_000 else 40.0 if rows < 10_000 else 20.0 if rows < 100_000 else 8.0
    batch = 32 if rows < 1_000 else 64 if rows < 5_000 else 256 if rows < 100_000 else 1024
    waves = 2.0 if rows >= 10_000 else 1.0
    hidden, base = (width, width), Setting()
    if shape.quantities > EMBEDDED:
        model = MLP(hidden=hidden, scaling="standard")
    elif task.kind == "regression":
        epochs = 2 * epochs if rows < FEW else epochs
        model = MLP(hidden=hidden, scaling="quantile", encoding="pbld", frequency_sd=waves)
    else:
        base = Setting(dropout=DROPOUT)
        model = MLP(hidden=hidden, scaling="quantile", encoding="pbld", frequency_sd=waves, dropout=True)
        if rows < FEW:
            model, epochs = replace(model, scaling="robust", frequency_sd=0.1), 20.0
    return Recipe(
        model=model,
        schedule=Cosine(warmup_fraction=0.1),
        batch_size=min(batch, max(1, rows)),
        epochs=epochs,
        base=base,
    )
