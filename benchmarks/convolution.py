"""Training steps (forward and backward) of many convolutions: stacked by tutti's rule, looped, grouped.

Target: at least 0.97 of the better of a loop of torch's modules and one grouped convolution of torch's.
Single layers get their input as a layer of their own kind leaves it (member after member, or batch-major); networks
begin with images that all members share. CPU seconds, one thread: other programs on the machine hardly show.
"""

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch
from _bench import arguments, machine, ratios, spread, table, tell
from torch import Tensor, nn
from torch.func import functional_call

from tutti import core
from tutti import nn as ours

Step = Callable[[], object]
CONV = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


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
NETWORKS = {
    "1 × 28 × 28: 8, 16, 16": (2, 1, 28, (8, 16, 16)),
    "3 × 32 × 32: 16, 32, 32": (2, 3, 32, (16, 32, 32)),
    "signal of 512: 8, 16, 16": (1, 1, 512, (8, 16, 16)),
}


def cpu_seconds(contenders: Mapping[str, Step], repeats: int) -> dict[str, list[float]]:
    """CPU seconds of each contender in each turn, the garbage collector still; one turn before them warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(repeats + 1):
        for name, step in contenders.items():
            gc.collect()
            gc.disable()
            began = time.process_time()
            step()
            took = time.process_time() - began
            gc.enable()
            if turn:
                seconds[name].append(took)
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


def network(
    axes: int, inputs: int, size: int, widths: Sequence[int], members: int, batch: int = 32
) -> dict[str, Step]:
    """Three convolutions with ReLU, halved by max pooling after the first two, on images that all members share.

    The grouped contender is written by hand: a first layer of all members' channels, then groups.
    """
    conv, pool = CONV[axes - 1], (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)[axes - 1]
    channels = list(zip((inputs, *widths), widths, strict=False))

    def theirs(m: int) -> nn.Module:
        layers: list[nn.Module] = []
        for i, (a, b) in enumerate(channels):
            layer = conv(a * m, b * m, 3, padding=1, groups=m) if i else conv(a, b * m, 3, padding=1)
            layers += [layer, nn.ReLU(), *([pool(2)] if i < 2 else [])]
        return nn.Sequential(*layers)

    layers: list[nn.Module] = []
    for i, (a, b) in enumerate(channels):
        layers += [ours.Convolution(a, b, 3, axes=axes, padding=1), nn.ReLU()]
        layers += [ours.MaxPool(2, axes=axes)] if i < 2 else []
    x = torch.randn(batch, inputs, *(size,) * axes)
    solo = [theirs(1) for _ in range(members)]
    return {
        "tutti": stacked(nn.Sequential(*layers), solo, x.expand(members, *x.shape), None),
        "loop": alone(solo, [x] * members, None),
        "grouped": alone([theirs(members)], [x], None),
    }


def row(name: str, members: int, contenders: dict[str, Step], repeats: int) -> tuple[list[str], float]:
    seconds = cpu_seconds(contenders, repeats)
    middle = {contender: median(taken) for contender, taken in seconds.items()}
    better = min(("loop", "grouped"), key=lambda contender: middle[contender])
    times = ratios(seconds[better], seconds["tutti"])
    milliseconds = [f"{1e3 * value:.3g}" for value in middle.values()]
    print(name, members, *milliseconds, spread(times), flush=True)
    return [name, str(members), *milliseconds, spread(times)], median(times)


def main() -> None:
    parser = arguments(__doc__.splitlines()[0], repeats=9)
    parser.add_argument("--members", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--as-is", action="store_true", help="leave the C library's allocator as it is")
    options = parser.parse_args()
    torch.set_num_threads(1)
    kept = not options.as_is and core.keep_memory()
    cases: dict[str, Callable[..., dict[str, Step]]] = {}
    cases |= {f"hidden, {layer}": partial(single, layer, first="") for layer in HIDDEN}
    cases |= {
        f"first, {way}: {layer}": partial(single, layer, first=way) for layer in FIRST for way in ("shared", "own")
    }
    cases |= {f"network, {name}, batch 32": partial(network, *shape) for name, shape in NETWORKS.items()}
    rows = [row(name, m, build(members=m), options.repeats) for m in options.members for name, build in cases.items()]
    worst = min(rows, key=lambda made: made[1])
    reached = sum(value >= 0.97 for _, value in rows)
    lines = [
        "Milliseconds of CPU time of one step, forward and backward, of all members; median of "
        f"{options.repeats} turns. Last column: the better of loop and grouped, over tutti, turn by turn (range). "
        f"Freed memory {'is kept by the process (core.keep_memory)' if kept else 'goes back to the system'}.",
        "",
        *table(["step", "members", "tutti", "loop", "grouped", "times as fast"], [made for made, _ in rows]),
        "",
        f"At least 0.97 in {reached} of {len(rows)}; least {worst[1]:.2f}: {worst[0][0]}, {worst[0][1]} members.",
    ]
    title = "Convolutions: stacked against the better of a loop and a grouped convolution"
    name = "convolution-as-is" if options.as_is else "convolution"
    tell(name, title, lines, provenance=machine(["tutti", "torch"], 1), write=options.write)


if __name__ == "__main__":
    main()
