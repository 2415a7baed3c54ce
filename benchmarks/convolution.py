"""Many convolutions of a stack: what tutti chooses, against the better of stacked and looped; and the layer alone.

*In the engine*: a training step (gather, forward, backward, AdamW) of a network of that one layer by the stacked and
by the looped executor, and which of them the timing of `fit` chooses. Target: the choice is at least 0.97 as fast as
the better of the two.
*Alone*: forward and backward of tutti's stacked layer, of a loop of torch's modules, and of one grouped convolution
of torch's. Single layers get their input as a layer of their own kind leaves it (member after member, or
batch-major); networks begin with images that all members share.
CPU seconds, one thread: other programs on the machine hardly show.
"""

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from statistics import median

import torch
from _bench import arguments, machine, ratios, table, tell
from _executors import Before, Case
from torch import Tensor, nn
from torch.func import functional_call

from tutti import core
from tutti import nn as ours

Step = Callable[[], object]
CONV = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TURN = 0.04  # seconds that a turn of one contender takes at least, in whole steps


@dataclass(frozen=True)
class Layer:
    """One convolution: axes of space, batch, channels in and out, size, kernel, stride."""

    axes: int
    batch: int
    inputs: int
    outputs: int
    size: int
    kernel: int
    stride: int = 1

    def __str__(self) -> str:
        stride = f", stride {self.stride}" if self.stride > 1 else ""
        return (
            f"{self.axes}-D, {self.inputs} → {self.outputs}, size {self.size}, kernel {self.kernel}{stride}, "
            f"batch {self.batch}"
        )


HIDDEN = [
    Layer(2, 64, 8, 8, 28, 3),
    Layer(2, 128, 8, 16, 14, 3),
    Layer(2, 32, 16, 16, 16, 3),
    Layer(2, 32, 16, 32, 16, 3, 2),
    Layer(2, 32, 32, 32, 16, 3),
    Layer(2, 32, 64, 64, 8, 3),
    Layer(2, 32, 64, 64, 8, 1),
    Layer(2, 32, 6, 16, 14, 5),
    Layer(2, 32, 12, 12, 16, 3),
    Layer(1, 64, 16, 16, 256, 5),
    Layer(1, 64, 32, 32, 128, 5),
    Layer(3, 16, 8, 8, 12, 3),
]
FIRST = [Layer(2, 64, 1, 8, 28, 3), Layer(2, 64, 3, 16, 32, 3), Layer(1, 64, 1, 8, 1024, 5)]


def cpu_seconds(contenders: Mapping[str, Step], turns: int) -> dict[str, list[float]]:
    """CPU seconds of a step of each contender in each turn, the garbage collector still.

    Every other turn goes through the contenders backwards. Two steps before them warm up, and a third says how many
    make up a turn.
    """

    def taken(step: Step, times: int) -> float:
        began = time.process_time()
        for _ in range(times):
            step()
        return (time.process_time() - began) / times

    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    gc.collect()
    gc.disable()
    times = {}
    for name, step in contenders.items():
        taken(step, 2)
        times[name] = ceil(TURN / taken(step, 1))
    for turn in range(turns):
        for name in sorted(contenders, key=list(contenders).index, reverse=turn % 2 == 1):
            seconds[name].append(taken(contenders[name], times[name]))
    gc.enable()
    return seconds


def stacked(module: nn.Module, copies: Sequence[nn.Module], x: Tensor, gradient: Tensor | None) -> Step:
    values = {
        name: torch.stack([dict(copy.named_parameters())[name].detach() for copy in copies]).requires_grad_()
        for name, _ in module.named_parameters()
    }

    def step() -> None:
        for leaf in (x, *values.values()):
            leaf.grad = None
        y = functional_call(module, values, (x,))
        y.backward(gradient) if gradient is not None else y.mean().backward()

    return step


def alone(modules: Sequence[nn.Module], xs: Sequence[Tensor], gradients: Sequence[Tensor] | None) -> Step:
    def step() -> None:
        for m, (module, x) in enumerate(zip(modules, xs, strict=True)):
            x.grad = None
            module.zero_grad()
            y = module(x)
            y.backward(gradients[m]) if gradients is not None else y.mean().backward()

    return step


def like(x: Tensor, layout: Tensor) -> Tensor:
    """x [member, batch, …] in memory as `layout` is: member after member, or batch-major."""
    batch_major = layout.stride(0) < layout.stride(1)
    return x.transpose(0, 1).contiguous().transpose(0, 1) if batch_major else x.contiguous()


def in_engine(layer: Layer, members: int, first: str) -> Case:
    """One layer in tutti's engine; `first` as for `single`."""
    how = {"stride": layer.stride, "padding": layer.kernel // 2}
    make = partial(ours.Convolution, layer.inputs, layer.outputs, layer.kernel, axes=layer.axes, **how)
    row = (layer.inputs, *(layer.size,) * layer.axes)
    if first:
        return Case(make, row, layer.batch, members, own=first == "own")
    two = {name: torch.stack([p.detach()] * 2) for name, p in make().named_parameters()}
    left = functional_call(make(), two, (torch.zeros(2, layer.batch, *row),))
    batch_major = left.stride(0) < left.stride(1)
    return Case(lambda: nn.Sequential(Before(batch_major), make()), row, layer.batch, members, own=True)


def single(layer: Layer, members: int, first: str) -> dict[str, Step]:
    """The contenders of one layer. first: "" (a hidden layer), "shared" or "own" (images of all or of each)."""
    conv = CONV[layer.axes - 1]
    how = {"stride": layer.stride, "padding": layer.kernel // 2}
    solo = [conv(layer.inputs, layer.outputs, layer.kernel, **how) for _ in range(members)]
    module = ours.Convolution(layer.inputs, layer.outputs, layer.kernel, axes=layer.axes, **how)
    wide = conv(members * layer.inputs, members * layer.outputs, layer.kernel, groups=members, **how)
    x = torch.randn(1 if first == "shared" else members, layer.batch, layer.inputs, *(layer.size,) * layer.axes)
    x = x.expand(members, *x.shape[1:])
    state = {name: torch.stack([p.detach()] * members) for name, p in module.named_parameters()}
    left = functional_call(module, state, (x,))
    gradient = torch.randn(left.shape)
    mine = x if first else like(x, left).detach().requires_grad_()
    side_by_side = x.transpose(0, 1).flatten(1, 2).requires_grad_(not first)
    return {
        "tutti": stacked(module, solo, mine, like(gradient, left)),
        "loop": alone(solo, [h.clone().requires_grad_(not first) for h in x], [g.clone() for g in gradient]),
        "grouped": alone([wide], [side_by_side], [gradient.transpose(0, 1).flatten(1, 2).contiguous()]),
    }


@dataclass(frozen=True)
class Network:
    """Three convolutions with ReLU, halved by max pooling after the first two, on images that all members share."""

    axes: int
    inputs: int
    size: int
    widths: tuple[int, ...]
    batch: int = 32

    @property
    def channels(self) -> list[tuple[int, int]]:
        return list(zip((self.inputs, *self.widths), self.widths, strict=False))

    def theirs(self, members: int) -> nn.Module:
        """Of torch's layers, written by hand: a first layer of all members' channels, then groups."""
        conv, pool = CONV[self.axes - 1], (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)[self.axes - 1]
        layers: list[nn.Module] = []
        for i, (a, b) in enumerate(self.channels):
            groups = members if i else 1
            layers += [conv(a * groups, b * members, 3, padding=1, groups=groups), nn.ReLU()]
            layers += [pool(2)] if i < 2 else []
        return nn.Sequential(*layers)

    def ours(self) -> nn.Module:
        layers: list[nn.Module] = []
        for i, (a, b) in enumerate(self.channels):
            layers += [ours.Convolution(a, b, 3, axes=self.axes, padding=1), nn.ReLU()]
            layers += [ours.MaxPool(2, axes=self.axes)] if i < 2 else []
        return nn.Sequential(*layers)

    @property
    def row(self) -> tuple[int, ...]:
        return self.inputs, *(self.size,) * self.axes

    def alone(self, members: int) -> dict[str, Step]:
        x = torch.randn(self.batch, *self.row)
        solo = [self.theirs(1) for _ in range(members)]
        return {
            "tutti": stacked(self.ours(), solo, x.expand(members, *x.shape), None),
            "loop": alone(solo, [x] * members, None),
            "grouped": alone([self.theirs(members)], [x], None),
        }

    def in_engine(self, members: int) -> Case:
        return Case(self.ours, self.row, self.batch, members, own=False)


NETWORKS = {
    "1 × 28 × 28: 8, 16, 16": Network(2, 1, 28, (8, 16, 16)),
    "3 × 32 × 32: 16, 32, 32": Network(2, 3, 32, (16, 32, 32)),
    "signal of 512: 8, 16, 16": Network(1, 1, 512, (8, 16, 16)),
}


def compared(seconds: Mapping[str, list[float]], ours: str, others: Sequence[str]) -> tuple[str, float]:
    """The median of the best of the others over that of `ours`, with the range of that ratio turn by turn."""
    best = min(others, key=lambda name: median(seconds[name]))
    ratio = median(seconds[best]) / median(seconds[ours])
    if best == ours:
        return "1", ratio
    turns = ratios(seconds[best], seconds[ours])
    return f"{ratio:.3g} ({min(turns):.3g} to {max(turns):.3g})", ratio


@dataclass(frozen=True)
class Measured:
    """A line of the table, and its two ratios: the layer alone, and what was chosen in the engine."""

    cells: list[str]
    alone: float
    chosen: float


def measured(name: str, members: int, layers: dict[str, Step], case: Case, turns: int) -> Measured:
    trial = case.trial()
    mine = cpu_seconds(case.steps(trial), turns)
    theirs = cpu_seconds(layers, turns)
    said, alone = compared(theirs, "tutti", ("loop", "grouped"))
    told, chosen = compared(mine, trial.executor, ("stacked", "looped"))
    one, two = ([f"{1e3 * median(taken):.3g}" for taken in seconds.values()] for seconds in (mine, theirs))
    cells = [name, str(members), *one, trial.executor, told, *two, said]
    print(" | ".join(cells), flush=True)
    return Measured(cells, alone, chosen)


def count(what: str, rows: Sequence[Measured], ratio: Callable[[Measured], float]) -> str:
    """How many of the ratios reach the target, and the least of them."""
    worst = min(rows, key=ratio)
    reached = sum(ratio(made) >= 0.97 for made in rows)
    name, members = worst.cells[:2]
    return f"{what}: at least 0.97 in {reached} of {len(rows)}; least {ratio(worst):.3g}: {name}, {members} members."


def main() -> None:
    parser = arguments(__doc__.splitlines()[0], repeats=15)
    parser.add_argument("--members", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--only", default="", help="the cases whose name holds this")
    parser.add_argument("--as-is", action="store_true", help="leave the C library's allocator as it is")
    options = parser.parse_args()
    torch.set_num_threads(1)
    gc.freeze()
    cases: dict[str, tuple[Callable[[int], dict[str, Step]], Callable[[int], Case]]] = {}
    for first, layers in (("", HIDDEN), ("shared", FIRST), ("own", FIRST)):
        for layer in layers:
            name = f"first, {first}: {layer}" if first else f"hidden, {layer}"
            cases[name] = partial(single, layer, first=first), partial(in_engine, layer, first=first)
    for name, network in NETWORKS.items():
        cases[f"network, {name}, batch {network.batch}"] = network.alone, network.in_engine
    kept = not options.as_is and core.keep_memory()
    rows = [
        measured(name, m, alone(m), engine(m), options.repeats)
        for m in options.members
        for name, (alone, engine) in cases.items()
        if options.only in name
    ]
    lines = [
        f"CPU milliseconds of one step of all members: medians of {options.repeats} turns of at least "
        f"{1e3 * TURN:.0f} ms each, the contenders in alternating order. "
        "*Stacked*, *looped*: a training step of a network of that layer in tutti's engine (gather, forward, mean "
        "square, backward, AdamW). A hidden layer gets a copy of its rows and gives their gradient; members with "
        "inputs of their own are folds. *Chosen*: by the timing of `fit`, on the machine as busy as it was; beside"
        " it the median of the better executor over the median of the chosen one, and the range of this ratio turn"
        " by turn (1: the better one was chosen). *Tutti alone*, *loop*, *grouped*: forward and backward of "
        "tutti's stacked layer, a loop of torch's modules, a grouped convolution of torch's; the last column is "
        "the median of the better of loop and grouped over tutti's, and the range. "
        f"Freed memory {'is kept by the process (core.keep_memory)' if kept else 'goes back to the system'}.",
        "",
        *table(
            [
                *("step", "members", "stacked", "looped", "chosen", "better over chosen"),
                *("tutti alone", "loop", "grouped", "better over tutti"),
            ],
            [made.cells for made in rows],
        ),
        "",
        count("The chosen executor against the better of the two", rows, lambda made: made.chosen),
        "",
        count("The stacked layer alone against the better of loop and grouped", rows, lambda made: made.alone),
    ]
    title = "Convolutions: the chosen executor against the better of two, and the stacked layer against torch's"
    name = "convolution-as-is" if options.as_is else "convolution"
    tell(name, title, lines, provenance=machine(["tutti", "torch"], 1), write=options.write)


if __name__ == "__main__":
    main()
