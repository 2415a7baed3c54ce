"""Signals: spoken digits, the UCR sets beside MiniROCKET, and a step of each family against a bare torch loop.

The digits are split at random, and with speakers held out. On each UCR set the published training and test parts are
kept; the ensemble of the five folds' networks is compared with MiniROCKET in the same run (ours; with aeon
installed, aeon's beside it). The bare loop is the same network out of torch.nn, with DataLoader, fused AdamW and
clipping.
"""

import tarfile
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _bench import arguments, machine, missing, ratios, spread, table, tell, timed
from _ours import train_alone
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional as F

import tutti
from tutti import data, models
from tutti.core import Setting
from tutti.tasks import infer
from tutti.training import Problem, Stream

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
SETS = {
    **dict.fromkeys(("ACSF1", "BasicMotions", "GunPoint", "ItalyPowerDemand", "PLAID"), ".ts"),
    **dict.fromkeys(("Car", "Coffee", "FaceFour", "OliveOil", "SyntheticControl"), ".txt"),
    "Adiac": "",
}
BATCH, ROWS, TIMES, CLASSES = 16, 256, 256, 5
RATE = 3e-3  # of the recipe
FAMILIES = ("inception", "resnet", "lstm", "gru", "transformer", "linear")


def fitted(source: Any, **options: Any) -> dict[str, Any]:
    """The result of a fit."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result: dict[str, Any] = tutti.fit(source, out=str(Path(folder) / "run"), **options).result
        return result


def part(name: str, which: str) -> Path:
    return SHARED / "series" / "ucr" / f"{name}_{which}{SETS[name]}"


def aeon_accuracy(name: str) -> float | None:
    """aeon's MiniROCKET classifier, of signals of equal length; None where it is not installed."""
    try:
        from aeon.classification.convolution_based import MiniRocketClassifier
    except ImportError:
        return None
    reading = data.Reading(data="signals")
    train, test = (data.read(part(name, which), reading=reading) for which in ("TRAIN", "TEST"))
    if not (train.sample.shape.equal and test.sample.shape.equal):
        return None
    x, z = (t.sample.inputs()[0].numpy().astype(np.float64) for t in (train, test))
    short = max(0, 9 - x.shape[-1])
    x, z = (np.pad(v, ((0, 0), (0, 0), (0, short))) for v in (x, z))
    model = MiniRocketClassifier(random_state=0).fit(x, train.target.astype(str))
    return float((model.predict(z) == test.target.astype(str)).mean())


def ucr(names: Sequence[str], budget: int) -> list[str]:
    """The table of the UCR sets, and the mean difference with its t interval over the sets.

    At the recipe's learning rate alone: five networks, one a fold, and five more that are augmented where the time
    allows; the better five answer.
    """
    rows, differences = [], []
    for name in names:
        told = {"data": "signals", "test": str(part(name, "TEST")), "budget": budget, "learning_rates": [RATE]}
        result = fitted(str(part(name, "TRAIN")), **told)
        value = result["test"]["value"]
        others = {b["name"]: b["value"] for b in result["baselines"]}
        differences.append(value - others["MiniROCKET"])
        theirs = aeon_accuracy(name)
        rows.append(
            [
                name,
                f"{value:.3f} ({result['test']['low']:.3f} to {result['test']['high']:.3f})",
                f"{others['MiniROCKET']:.3f}",
                "" if theirs is None else f"{theirs:.3f}",
                f"{others['nearest neighbour']:.3f}",
                f"{others['boosted trees on statistics']:.3f}",
                f"{differences[-1]:+.3f}",
                f"{result['members']['trained']}",
                f"{result['seconds']:.0f} s",
            ]
        )
        print(" | ".join(rows[-1]), flush=True)
    head = ["set", "tutti", "MiniROCKET", "aeon's", "1-NN", "trees", "difference", "members", "time"]
    lines = table(head, rows)
    if len(differences) > 1:
        mean, sd = float(np.mean(differences)), float(np.std(differences, ddof=1))
        half = float(stats.t.ppf(0.975, len(differences) - 1)) * sd / len(differences) ** 0.5
        lines += [
            "",
            f"Mean difference to MiniROCKET over {len(differences)} sets: {mean:+.4f} ({mean - half:+.4f} to "
            f"{mean + half:+.4f}, t interval over sets). Within {budget} s a set, baselines included.",
        ]
    return lines


def digits(budget: int) -> list[str]:
    """Spoken digits: a random split, and speakers held out."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(SHARED / "audio" / "fsdd_wav.tar.xz") as packed:
            packed.extractall(folder, filter="data")
        for name, options in (("random split", {}), ("speakers held out", {"group": "speaker"})):
            pattern = "{label}_{speaker}_*.wav"
            result = fitted(folder, target_from=pattern, budget=budget, **options)
            test = result["test"]
            others = ", ".join(f"{b['name']} {b['value']:.3f}" for b in result["baselines"])
            accuracy = f"{test['value']:.4f} ({test['low']:.4f} to {test['high']:.4f}, n = {test['n']})"
            rows.append([name, accuracy, others, f"{result['members']['trained']}", f"{result['seconds']:.0f} s"])
            print(" | ".join(rows[-1]), flush=True)
    return table(["spoken digits", "test accuracy", "baselines", "members", "time"], rows)


class Inception(nn.Module):
    """models.InceptionTime() out of torch.nn, for one channel."""

    def __init__(self) -> None:
        super().__init__()
        self.modules_ = nn.ModuleList()
        self.shortcuts = nn.ModuleList()
        for number in range(6):
            inputs, width = (64, 16) if number else (1, 1)
            self.modules_.append(
                nn.ModuleDict(
                    {
                        "narrow": nn.Conv1d(inputs, 16, 1, bias=False) if number else nn.Identity(),
                        "branches": nn.ModuleList(
                            nn.Conv1d(16 if number else width, 16, k, padding=k // 2, bias=False) for k in (9, 19, 39)
                        ),
                        "after": nn.Conv1d(inputs, 16, 1, bias=False),
                        "norm": nn.BatchNorm1d(64),
                    }
                )
            )
        for inputs in (1, 64):
            self.shortcuts.append(nn.Sequential(nn.Conv1d(inputs, 64, 1, bias=False), nn.BatchNorm1d(64)))
        self.leave = nn.Linear(64, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        kept = x
        for number, part in enumerate(self.modules_):
            h = part["narrow"](x)
            top = part["after"](F.max_pool1d(x, 3, 1, 1))
            x = F.relu(part["norm"](torch.cat([*(branch(h) for branch in part["branches"]), top], 1)))
            if number == 0:
                x, kept = F.avg_pool1d(x, 2), F.avg_pool1d(kept, 2)
            if number % 3 == 2:
                x = F.relu(x + self.shortcuts[number // 3](kept))
                kept = x
        return self.leave(x.mean(-1))


class ResNet(nn.Module):
    """models.ResNet1D() out of torch.nn, for one channel."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks, self.shortcuts = nn.ModuleList(), nn.ModuleList()
        for inputs, width in ((1, 64), (64, 128), (128, 128)):
            layers: list[nn.Module] = []
            for a, k in ((inputs, 8), (width, 5), (width, 3)):
                layers += [nn.Conv1d(a, width, k, padding="same", bias=False), nn.BatchNorm1d(width), nn.ReLU()]
            self.blocks.append(nn.Sequential(*layers[:-1]))
            norm = nn.BatchNorm1d(width)
            same = inputs == width
            self.shortcuts.append(norm if same else nn.Sequential(nn.Conv1d(inputs, width, 1, bias=False), norm))
        self.leave = nn.Linear(128, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        for block, shortcut in zip(self.blocks, self.shortcuts, strict=True):
            x = F.relu(block(x) + shortcut(x))
        return self.leave(x.mean(-1))


class Recurrent(nn.Module):
    """models.SignalLSTM() or SignalGRU() out of torch.nn: two times a step."""

    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.layer = kind(2, 64, 2, bidirectional=True, batch_first=True)
        self.leave = nn.Linear(256, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        h, _ = self.layer(x.view(len(x), -1, 2))
        return self.leave(torch.cat((h.mean(1), h.amax(1)), 1))


class Transformer(nn.Module):
    """models.SignalTransformer() out of torch.nn: patches of four times, learned positions in place of fixed ones."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(4, 64)
        self.position = nn.Parameter(torch.zeros(TIMES // 4, 64))
        layer = nn.TransformerEncoderLayer(64, 4, 256, 0.0, "gelu", batch_first=True, norm_first=True)
        self.encode = nn.TransformerEncoder(layer, 3, nn.LayerNorm(64), enable_nested_tensor=False)
        self.leave = nn.Linear(64, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.leave(self.encode(self.enter(x.view(len(x), -1, 4)) + self.position).mean(1))


BARE: dict[str, Callable[[], nn.Module]] = {
    "inception": Inception,
    "resnet": ResNet,
    "lstm": lambda: Recurrent(nn.LSTM),
    "gru": lambda: Recurrent(nn.GRU),
    "transformer": Transformer,
    "linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(TIMES, CLASSES)),
}


def loop(family: str, x: Tensor, y: Tensor, steps: int) -> None:
    """The bare loop."""
    rows = torch.utils.data.TensorDataset(x, y)
    loader = torch.utils.data.DataLoader(rows, batch_size=BATCH, shuffle=True, drop_last=True)
    network = BARE[family]()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    done = 0
    while done < steps:
        for inputs, target in loader:
            loss = F.cross_entropy(network(inputs), target)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            done += 1
            if done == steps:
                return


def ours(family: str, read: data.Table, steps: int, threads: int) -> Callable[[], object]:
    task = infer(read.target, ["target"], "multiclass")
    rows = np.arange(read.rows)
    model = models.MODELS["signals"][family]()
    network = model.build(read.schema.shape, task.outputs)
    problem = Problem(
        inputs=read.inputs(),
        target=torch.as_tensor(task.encode(read.target)),
        streams=(Stream(seed=0, fold=0, train=rows, validation=rows[:1], buffers=read.fit(network, rows)),),
        build=lambda: model.build(read.schema.shape, task.outputs),
        loss=task.loss,
    )
    return lambda: train_alone(problem, steps=steps, batch=BATCH, threads=threads, setting=Setting())


def step_times(steps: int, repeats: int, threads: int) -> list[str]:
    """A training step of each family beside the bare loop's."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((ROWS, 1, TIMES)).astype(np.float32)
    y = np.arange(ROWS) % CLASSES
    read = data.read((x, y), reading=data.Reading(data="signals"), task_kind="multiclass")
    signals, target = torch.from_numpy(x), torch.from_numpy(y)
    rows = []
    for family in FAMILIES:
        took = timed(
            {
                "bare": lambda family=family: loop(family, signals, target, steps),
                "tutti": ours(family, read, steps, threads),
            },
            repeats,
        )
        each = [spread([1e3 * s / steps for s in took[who]], "ms") for who in ("tutti", "bare")]
        rows.append([family, *each, spread(ratios(took["tutti"], took["bare"]))])
        print(" | ".join(rows[-1]), flush=True)
    head = (
        f"{TIMES} times, one channel, batches of {BATCH}, one member; {steps} steps, start-up included. Median and "
    )
    return [
        f"{head}range of {repeats} interleaved turns. Target: at most 1.0 of the loop.",
        "",
        *table(["", "a step", "bare torch loop", "of the loop"], rows),
    ]


def main() -> None:
    parser = arguments(__doc__ or "", repeats=3)
    parser.add_argument("--steps", type=int, default=40, help="training steps of a turn; 0 leaves the timing out")
    parser.add_argument("--digits", type=int, default=600, help="seconds of a fit of the digits; 0 leaves them out")
    parser.add_argument("--ucr", type=int, default=600, help="seconds of each fit of a UCR set; 0 leaves them out")
    parser.add_argument("--sets", nargs="*", default=list(SETS), help="which UCR sets")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    sections = []
    if given.steps:
        sections.append(step_times(given.steps, given.repeats, given.threads))
    if given.digits:
        sections.append(digits(given.digits))
    if given.ucr:
        try:
            import aeon  # noqa: F401
        except ImportError:
            missing("aeon", "not installed; MiniROCKET is ours")
        sections.append(ucr(given.sets, given.ucr))
    lines = [line for section in sections for line in (*section, "")][:-1]
    packages = ["tutti", "torch", "numpy", "scipy", "scikit-learn", "aeon"]
    how = machine(packages, given.threads)
    tell("signals", "Signals: spoken digits and the UCR sets", lines, provenance=how, write=given.write)


if __name__ == "__main__":
    main()
