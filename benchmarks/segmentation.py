"""Segmentation: membranes in electron micrographs, and a training step of the U-Net against a bare loop.

The stack has 30 slices of 512 × 512 (ISBI 2012); the last 6 are held out, as fit does of itself where neighbours are
alike. Beside the network, on the same slices: a forest and a linear model on pixel features, and Otsu's threshold.
The bare loop is the same U-Net in torch.nn on random crops from a DataLoader, with fused AdamW and clipping.
"""

import tempfile
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from _bench import arguments, machine, ratios, spread, table, tell, timed
from _ours import train_alone
from torch import Tensor, nn
from torch.nn import functional as F

import tutti
from tutti import data
from tutti.core import ImageShape, Setting
from tutti.evaluation import fit_baselines, inputs_for
from tutti.metrics import paired_difference, score
from tutti.models import UNet
from tutti.tasks import Segmentation
from tutti.training import Problem, Stream

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "images" / "isbi2012_membrane" / "train"
METRICS = ("iou", "dice", "pixel_error")
BATCH, CROP, DEPTH, WIDTH = 4, 128, 3, 16


def otsu(image: np.ndarray) -> float:
    """The grey level that best parts an image in two: the largest variance between the parts (Otsu 1979)."""
    counts = np.bincount(image.ravel(), minlength=256) / image.size
    below, mean = np.cumsum(counts), np.cumsum(counts * np.arange(256))
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (mean[-1] * below - mean) ** 2 / (below * (1 - below))
    return float(np.nanargmax(between))


def one_hot(dark: np.ndarray) -> np.ndarray:
    """Certain probabilities [rows, 2, height, width] of the second class."""
    return np.stack([1.0 - dark, dark], axis=1)


def fits(budget: int, threads: int) -> list[list[str]]:
    """Rows of the table: every contender's scores on the slices held out, and how much the network is ahead."""
    reading = data.Reading(masks=SHARED / "label")
    read = data.read(SHARED / "image", reading=reading)
    assert read.sample is not None
    task = Segmentation.of(read.target, "mask")
    target = task.encode(read.target)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = tutti.fit(
            SHARED / "image",
            masks=SHARED / "label",
            out=Path(folder) / "run",
            budget=budget,
            baselines=False,
            folds=1,
            refit=False,
        )
    splits, _ = data.declare_splits(read.rows, time=read.time, folds=1)
    pixels = read.inputs()[0]
    assert isinstance(pixels, Tensor)
    found = {"U-Net": model.predictor.predict(pixels[splits.test])}
    inputs = inputs_for(read, splits)
    baselines = fit_baselines(
        inputs.numbers, inputs.codes, target, kind="segmentation", outputs=2, splits=splits, metric="pixel_error",
        seconds=budget / 4, learners=inputs.learners, threads=threads,
    )  # fmt: skip
    found |= {b.name: b.test for b in baselines if b.test is not None}
    images = pixels[splits.test, 0].numpy()
    found["Otsu's threshold"] = np.concatenate([one_hot(image[None] <= otsu(image)) for image in images])
    rows = []
    for name, prediction in found.items():
        own = [score(metric, target[splits.test], prediction) for metric in METRICS]
        ahead = paired_difference("pixel_error", target[splits.test], found["U-Net"], prediction)
        rows.append(
            [
                name,
                *(f"{s.value:.4f} ({s.low:.4f} to {s.high:.4f})" for s in own),
                "" if name == "U-Net" else f"{ahead.value:+.4f} ({ahead.low:+.4f} to {ahead.high:+.4f})",
                f"{model.result['seconds']:.0f} s" if name == "U-Net" else "",
            ]
        )
    return rows


class Bare(nn.Module):
    """The same U-Net in torch.nn."""

    def __init__(self) -> None:
        super().__init__()
        widths = [WIDTH * 2**level for level in range(DEPTH + 1)]
        self.down = nn.ModuleList(block(a, b) for a, b in pairwise([1, *widths]))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairwise(widths))
        self.join = nn.ModuleList(block(2 * a, a) for a in widths[:-1])
        self.head = nn.Conv2d(WIDTH, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for level, layer in enumerate(self.down):
            x = layer(x if level == 0 else F.max_pool2d(x, 2))
            kept.append(x)
        for level in reversed(range(DEPTH)):
            x = self.join[level](torch.cat([kept[level], self.up[level](x)], 1))
        y: Tensor = self.head(x)
        return y


def block(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


class Crops(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    """A random crop of each image in a random symmetry, with its mask."""

    def __init__(self, pixels: Tensor, masks: Tensor, length: int) -> None:
        self.pixels, self.masks, self.length = pixels, masks, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        row = index % len(self.pixels)
        top, left = torch.randint(0, self.pixels.shape[-1] - CROP + 1, (2,)).tolist()
        turns, flip = int(torch.randint(4, ())), bool(torch.randint(2, ()))
        parts = [
            torch.rot90(z[..., top : top + CROP, left : left + CROP], turns, (-2, -1))
            for z in (self.pixels[row], self.masks[row])
        ]
        x, y = (part.flip(-1) if flip else part for part in parts)
        return (x.float() - 126) / 44, (y == 1).float()


def loop(pixels: Tensor, masks: Tensor, steps: int) -> None:
    """The bare loop."""
    loader = torch.utils.data.DataLoader(Crops(pixels, masks, steps * BATCH), batch_size=BATCH, shuffle=True)
    network = Bare()
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, fused=True)
    for x, y in loader:
        loss = F.binary_cross_entropy_with_logits(network(x)[:, 0], y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()


def ours(read: data.Table, steps: int, threads: int) -> Callable[[], object]:
    task = Segmentation.of(read.target, "mask")
    config, shape = UNet(depth=DEPTH, width=WIDTH, crop=CROP), read.schema.shape
    assert isinstance(shape, ImageShape)
    rows = np.arange(read.rows)
    network = config.build(shape, task.outputs)
    problem = Problem(
        inputs=read.inputs(),
        target=torch.as_tensor(task.encode(read.target)),
        streams=(Stream(seed=0, fold=0, train=rows, validation=rows[:1], buffers=read.fit(network, rows)),),
        build=lambda: config.build(shape, task.outputs),
        loss=task.loss,
    )
    return lambda: train_alone(problem, steps=steps, batch=BATCH, threads=threads, setting=Setting())


def main() -> None:
    parser = arguments(__doc__ or "", repeats=3)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--budget", type=int, default=600, help="seconds of the fit; 0 leaves it out")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    read = data.read(SHARED / "image", reading=data.Reading(masks=SHARED / "label"))
    pixels = read.inputs()[0]
    assert isinstance(pixels, Tensor)
    masks = torch.as_tensor(Segmentation.of(read.target, "mask").encode(read.target))
    runs = {"bare": lambda: loop(pixels, masks, given.steps), "tutti": ours(read, given.steps, given.threads)}
    took = timed(runs, given.repeats)
    each = [spread([1e3 * s / given.steps for s in took[who]], "ms") for who in ("tutti", "bare")]
    lines = [
        f"U-Net, {BATCH} crops of {CROP} × {CROP} a step; {given.steps} steps, start-up included. Median and range "
        f"of {given.repeats} interleaved turns. Target: at most 1.0 of the loop.",
        "",
        *table(["a step", "bare torch loop", "of the loop"], [[*each, spread(ratios(took["tutti"], took["bare"]))]]),
    ]
    if given.budget:
        head = ["", *METRICS, "pixel error of the U-Net less this one's", "time"]
        lines += [
            "",
            f"Slices 0–19 train, 20–23 choose the step, 24–29 judge (95 % intervals over slices); `tutti fit` within "
            f"{given.budget} s. "
            "Targets: IoU of membrane at least 0.75, pixel error below the forest's.",
            "",
            *table(head, fits(given.budget, given.threads)),
        ]
    tell(
        "segmentation",
        "Segmentation: membranes",
        lines,
        provenance=machine(["tutti", "torch", "numpy", "scikit-learn", "scipy"], given.threads),
        write=given.write,
    )


if __name__ == "__main__":
    main()
