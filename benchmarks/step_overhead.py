"""One member, MLP 16-64-64-2, batch 64: a step of tutti against a bare torch loop and against the frameworks.

Target: at most 1.05 of the bare loop; faster than Lightning, skorch and Keras, each used as its guide shows.
"""

import os
import warnings
from collections.abc import Callable, Iterator

import torch
from _bench import arguments, machine, missing, ratios, spread, table, tell, timed
from _loop import factors, network, train
from torch import Tensor, nn

WIDTHS, BATCH, ROWS = (16, 64, 64, 2), 64, 4096
Run = Callable[[], object]


def ours(x: Tensor, y: Tensor, steps: int, threads: int) -> Run:
    from _ours import problem, train_alone

    from tutti.core import Setting

    made, _ = problem(x.numpy(), y.numpy(), WIDTHS, folds=1)
    return lambda: train_alone(made, steps=steps, batch=BATCH, threads=threads, setting=Setting())


def lightning(x: Tensor, y: Tensor, steps: int) -> Run:
    import logging

    import lightning as L

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Module(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = network(WIDTHS)

        def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
            return nn.functional.cross_entropy(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> dict[str, object]:
            optimizer = torch.optim.AdamW(self.parameters(), lr=1e-3, weight_decay=0.0, fused=True)
            course = factors(steps)
            scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: course[min(t, steps - 1)])
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def run() -> None:
        data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=BATCH, shuffle=True)
        trainer = L.Trainer(
            max_steps=steps,
            accelerator="cpu",
            gradient_clip_val=1.0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(Module(), data)

    return run


def skorch(x: Tensor, y: Tensor, steps: int) -> Run:
    from skorch import NeuralNetClassifier
    from skorch.callbacks import GradientNormClipping, LRScheduler

    course = factors(steps)
    scheduler = LRScheduler("LambdaLR", lr_lambda=lambda t: course[min(t, steps - 1)], step_every="batch")

    def run() -> None:
        net = NeuralNetClassifier(
            network(WIDTHS),
            criterion=nn.CrossEntropyLoss,
            optimizer=torch.optim.AdamW,
            optimizer__weight_decay=0.0,
            optimizer__fused=True,
            lr=1e-3,
            batch_size=BATCH,
            max_epochs=steps * BATCH // ROWS,
            train_split=None,
            iterator_train__shuffle=True,
            callbacks=[("clip", GradientNormClipping(1.0)), ("rate", scheduler)],
            verbose=0,
        )
        net.fit(x.numpy(), y.numpy())

    return run


def keras(x: Tensor, y: Tensor, steps: int) -> Run:
    os.environ["KERAS_BACKEND"] = "torch"
    import keras

    def run() -> None:
        course = keras.optimizers.schedules.CosineDecay(0.0, steps, warmup_target=1e-3, warmup_steps=-(-steps // 10))
        layers = [keras.layers.Dense(width, activation="relu") for width in WIDTHS[1:-1]]
        model = keras.Sequential([keras.Input((WIDTHS[0],)), *layers, keras.layers.Dense(WIDTHS[-1])])
        model.compile(
            optimizer=keras.optimizers.AdamW(course, weight_decay=0.0, global_clipnorm=1.0),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        model.fit(x.numpy(), y.numpy(), batch_size=BATCH, epochs=steps * BATCH // ROWS, verbose=0)

    return run


def peers(x: Tensor, y: Tensor, steps: int) -> Iterator[tuple[str, Run]]:
    for make in (lightning, skorch, keras):
        try:
            yield make.__name__, make(x, y, steps)
        except ImportError as error:
            missing(make.__name__, str(error))


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--epochs", type=int, default=30, help="passes over 4,096 rows")
    parser.add_argument("--no-peers", action="store_true", help="only the bare loop and tutti")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    x = torch.randn(ROWS, WIDTHS[0])
    y = (x[:, 0] * x[:, 1] > 0).long()
    steps = given.epochs * ROWS // BATCH
    contenders = {
        "bare loop": lambda: train(x, y, WIDTHS, steps=steps, batch=BATCH),
        "tutti": ours(x, y, steps, given.threads),
    }
    contenders |= {} if given.no_peers else dict(peers(x, y, steps))
    seconds = timed(contenders, given.repeats)
    rows = [
        [name, spread([1e6 * s / steps for s in took], "µs"), spread(ratios(took, seconds["bare loop"]))]
        for name, took in seconds.items()
    ]
    tell(
        "step_overhead",
        "A step of one member, MLP 16-64-64-2, batch 64",
        [
            f"{steps:,} steps on {ROWS:,} rows, start-up included; AdamW, clipping, warm-up and cosine on every side."
            f" Median and range of {given.repeats} interleaved turns. Target: at most 1.05 of the bare loop.",
            "",
            *table(["", "a step", "of the bare loop"], rows),
        ],
        provenance=machine(["tutti", "torch", "numpy", "lightning", "skorch", "keras"], given.threads),
        write=given.write,
    )


if __name__ == "__main__":
    main()
