"""Small networks of every family of layers, with any normalisation, dropout and rules: see test_pairs.py."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import torch
from torch import Tensor, nn

import tutti.nn as tnn
from tutti.core import Setting
from tutti.models import NodeNetwork
from tutti.optim import RULES, Constant
from tutti.training import ExecutorName, Plan, Population, Problem, Program, Stream

CPU = torch.device("cpu")
ROWS, BATCH, TIME, WIDTH, RATES = 18, 5, 5, 4, (1e-3, 1e-2)  # odd sizes: vectors do not fit

# One of each kind of state and of step, three side by side in a population: none, one average, two, a maximum; per
# row and column, per layer; matrices; a second point; a distance; a second gradient; slow weights; signs; the loss.
TRIOS = (
    ("sgd", "nesterov", "adamw"),
    ("amsgrad", "adafactor", "muon"),
    ("soap", "lamb", "schedulefree_adamw"),
    ("prodigy", "sam", "lookahead"),
    ("lion", "rprop", "sm3"),
    ("aegd", "radam", "swats"),
)
Case = tuple[str, str, str, tuple[str, ...]]


class Turned(nn.Module):
    """A layer that takes channels first, for features that come last: [*member, batch, time, feature]."""

    stacked = True

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.mT).mT


class First(nn.Module):
    """The outputs of a recurrent layer, without its last state."""

    stacked = True

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]


class OnGraph(nn.Module):
    """Messages on one graph, and between them what the case asks for."""

    stacked = True

    def __init__(self, between: nn.Module) -> None:
        super().__init__()
        self.first, self.second = tnn.GCN(3, WIDTH), tnn.GAT(WIDTH, WIDTH)
        self.third, self.between = tnn.MessagePassing(WIDTH, steps=2), between
        self.last = tnn.Linear(WIDTH, 2)

    def forward(self, x: Tensor, edges: tnn.Edges, along: None, weight: None) -> Tensor:
        h = self.second(self.between(self.first(x, edges)), edges)
        return self.last(self.third(h, edges))


def dropout(kind: str, axes: int) -> nn.Module:
    """axes: of space, or of time."""
    made = {
        "none": nn.Identity,
        "dropout": tnn.Dropout,
        "channel": lambda: tnn.ChannelDropout(axes=axes),
        "path": tnn.DropPath,
        "alpha": tnn.AlphaDropout,
    }
    return made[kind]()


def between(norm: str, kind: str, width: int, axes: int) -> nn.Module:
    """h + dropout(tanh(norm(h))), channels first."""
    return tnn.Residual(
        nn.Sequential(tnn.normalisation(norm, width, axes=axes), nn.Tanh(), dropout(kind, axes)),
    )


def grid(axes: int, enter: Callable[[], Sequence[nn.Module]]) -> Callable[[str, str], nn.Module]:
    def build(norm: str, kind: str) -> nn.Module:
        return nn.Sequential(
            *enter(), between(norm, kind, WIDTH, axes), tnn.GlobalPool(axes=axes), tnn.Linear(WIDTH, 2)
        )

    return build


def sequence(enter: Callable[[str, str], nn.Module], width: int = WIDTH) -> Callable[[str, str], nn.Module]:
    def build(norm: str, kind: str) -> nn.Module:
        middle = Turned(between(norm, kind, width, axes=1))
        return nn.Sequential(enter(norm, kind), middle, tnn.SetPool(), tnn.Linear(width, 2))

    return build


def table(enter: Callable[[], Sequence[nn.Module]], width: int) -> Callable[[str, str], nn.Module]:
    return lambda norm, kind: nn.Sequential(*enter(), between(norm, kind, width, axes=0), tnn.Linear(width, 2))


def transformer(causal: bool) -> Callable[[str, str], nn.Module]:
    return lambda norm, kind: tnn.TransformerBlock(
        WIDTH,
        2,
        causal=causal,
        norm="post" if causal else "pre",
        normalise=lambda width: Turned(tnn.normalisation(norm, width, axes=1)),
        dropout=0.0 if kind == "dropout" else None,
        path=0.0 if kind == "path" else None,
    )


def graph(norm: str, kind: str) -> nn.Module:
    generator = np.random.default_rng(1)
    edges = torch.tensor(generator.integers(0, ROWS, size=(2, 40)))
    features = torch.tensor(generator.normal(size=(ROWS, 3)), dtype=torch.float32)
    return NodeNetwork(OnGraph(between(norm, kind, WIDTH, axes=0)), 3).hold(features, edges)


def attend(causal: bool) -> Callable[[str, str], nn.Module]:
    return lambda norm, kind: nn.Sequential(
        tnn.LearnedPositions(TIME, WIDTH),
        tnn.MultiHeadAttention(WIDTH, 2, causal=causal, dropout=0.0 if kind == "dropout" else None),
    )


LAYERS: dict[str, Callable[[str, str], nn.Module]] = {
    "dense": table(lambda: [tnn.Linear(5, 8)], 8),
    "embedding": table(lambda: [tnn.Embedding([4, 3], WIDTH)], 2 * WIDTH),
    "conv1d": grid(1, lambda: [tnn.Convolution(2, WIDTH, 3, axes=1), tnn.MaxPool(2, axes=1)]),
    "conv2d": grid(2, lambda: [tnn.Convolution(2, WIDTH, 3, padding=1, stride=2), tnn.AveragePool(2)]),
    "conv3d": grid(3, lambda: [tnn.Convolution(1, WIDTH, 2, axes=3), tnn.AdaptiveAveragePool(2, axes=3)]),
    "transposed": grid(2, lambda: [tnn.TransposedConvolution(2, WIDTH, 2, stride=2), tnn.MaxPool(3, stride=2)]),
    "elman": sequence(lambda *_: First(tnn.Elman(3, WIDTH))),
    "gru": sequence(lambda _, kind: First(tnn.GRU(3, WIDTH, layers=2, dropout=0.1 if kind == "dropout" else 0.0))),
    "lstm": sequence(lambda *_: First(tnn.LSTM(3, 3)), 3),
    "gru both ways": sequence(lambda *_: First(tnn.GRU(3, 2, bidirectional=True, reset="before"))),
    "lstm both ways": sequence(lambda *_: First(tnn.LSTM(3, 2, bidirectional=True))),
    "attention": sequence(attend(False)),
    "causal attention": sequence(attend(True)),
    "transformer": sequence(transformer(False)),
    "causal transformer": sequence(transformer(True)),
    "set": lambda norm, kind: nn.Sequential(
        Turned(between(norm, kind, WIDTH, axes=1)), tnn.AttentionPool(WIDTH, 4), tnn.Linear(WIDTH, 2)
    ),
    "messages": graph,
}
SHAPES = {
    "dense": (5,),
    "conv1d": (2, 9),
    "conv2d": (2, 8, 8),
    "conv3d": (1, 4, 4, 4),
    "transposed": (2, 4, 4),
    "elman": (TIME, 3),
    "gru": (TIME, 3),
    "lstm": (TIME, 3),
    "gru both ways": (TIME, 3),
    "lstm both ways": (TIME, 3),
}
FLAT = {"dense", "embedding", "messages"}  # without space or time: no instances
NORMS = tuple(tnn.NORMALISATIONS)
DROPOUTS = ("none", "dropout", "channel", "path", "alpha")
FACTORS: tuple[tuple[object, ...], ...] = (tuple(LAYERS), NORMS, DROPOUTS, TRIOS)


def allowed(layer: str, norm: str) -> bool:
    return not (norm == "instance" and layer in FLAT)


def possible(chosen: dict[int, object]) -> bool:
    """Whether values of some factors (by place) may stand together."""
    return not (0 in chosen and 1 in chosen) or allowed(str(chosen[0]), str(chosen[1]))


def pairs(case: Sequence[object]) -> set[tuple[int, object, int, object]]:
    return {(i, case[i], j, case[j]) for i, j in combinations(range(len(case)), 2)}


def wanted(factors: Sequence[Sequence[object]]) -> Iterator[tuple[int, object, int, object]]:
    """Every pair of values of two factors that may stand together."""
    for i, j in combinations(range(len(factors)), 2):
        yield from ((i, a, j, b) for a, b in product(factors[i], factors[j]) if possible({i: a, j: b}))


def covering(factors: Sequence[Sequence[object]]) -> list[Case]:
    """Cases in which every possible pair of values occurs: each begins with the first pair that is still missing, and
    takes of every other factor the value that brings most of the missing ones (the first of equals)."""
    missing = dict.fromkeys(wanted(factors))
    cases: list[Case] = []
    while missing:
        i, a, j, b = next(iter(missing))
        chosen: dict[int, object] = {i: a, j: b}
        for k in range(len(factors)):
            if k in chosen:
                continue
            fitting = [v for v in factors[k] if possible({**chosen, k: v})]
            turn = len(cases) % len(fitting)  # else ties would give one value to all
            fitting = fitting[turn:] + fitting[:turn]
            chosen[k] = max(
                fitting,
                key=lambda v: sum(((m, w, k, v) if m < k else (k, v, m, w)) in missing for m, w in chosen.items()),
            )
        case = tuple(chosen[k] for k in range(len(factors)))
        cases.append(case)
        for pair in pairs(case):
            missing.pop(pair, None)
    return cases


def name_of(case: Case) -> str:
    return " ".join((*case[:3], "+".join(case[3])))


@dataclass(frozen=True)
class Subject:
    """A network in one dtype, on two streams of rows; two settings for each of its rules."""

    case: Case
    dtype: torch.dtype
    program: Program

    @classmethod
    def of(cls, case: Case, dtype: torch.dtype, device: torch.device = CPU) -> "Subject":
        layer, norm, kind, _ = case
        generator = torch.Generator().manual_seed(0)
        given = torch.randn(ROWS, *SHAPES.get(layer, (TIME, WIDTH)), generator=generator, dtype=torch.float64)
        if layer == "embedding":
            given = torch.stack([torch.arange(ROWS) % 4, torch.arange(ROWS) % 3], 1)
        elif layer == "messages":
            given = torch.arange(ROWS)
        rows = np.arange(ROWS)
        problem = Problem(
            inputs=((given.to(dtype) if given.is_floating_point() else given).to(device),),
            target=torch.randn(ROWS, 2, generator=generator, dtype=torch.float64).to(device, dtype),
            streams=tuple(
                Stream(seed=3, fold=f, train=rows[rows % 3 != f], validation=rows[rows % 3 == f]) for f in range(2)
            ),
            build=lambda: LAYERS[layer](norm, kind).to(dtype),
            loss=lambda output, target, label_smoothing=None: (output - target).square().mean(-1),
        )
        return cls(case, dtype, Program(problem, BATCH))

    def settings(self) -> list[Setting]:
        """Two for each rule, with rates, decays and dropouts of their own."""
        return [
            Setting(learning_rate=rate, weight_decay=0.1 * i, dropout=0.2 + 0.2 * i, optimizer=rule)
            for rule in self.case[3]
            for i, rate in enumerate(RATES)
        ]

    def population(self, executor: ExecutorName, settings: Sequence[Setting] | None = None) -> Population:
        plan = Plan(executor=executor, horizon=8, segment=4, batch_size=BATCH, average_every=1, threads=1)
        rules = {name: RULES[name]() for name in self.case[3]}
        chosen = self.settings() if settings is None else settings
        return Population(self.program.problem, chosen, plan, rules, Constant(), program=self.program)
