"""The palindrome problem: which recurrent networks learn to say whether a sequence reads the same backwards?

The course (EE-559, recurrent networks) shows five examples, (1, 2, 3, 2, 1), (2, 1, 2) and (0) with y = 1, (3, 4, 1,
2) and (1, 4) with y = 0, and lengths from 1 to 10; it compares a plain recurrent network, a gated one and an LSTM.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch import nn as torch_nn
from torch.nn import functional

from tutti import nn
from tutti.core import InputError, Setting, unknown
from tutti.optim import AdamW, Cosine
from tutti.tasks import Binary
from tutti.training import Plan, Population, Problem, Stream

SYMBOLS, HIDDEN, BATCH = 10, 64, 64
RATES = (3e-3, 1e-2, 2e-2)
JUDGED = 1_000  # sequences that choose the rate, and as many of each kind that judge
POINTS = 12  # of a curve
CLAIM = "Gated networks learn to recognise palindromes; a plain recurrent network stays behind."

_LAYERS: dict[str, Callable[[int, int], torch_nn.Module]] = {"rnn": nn.Elman, "gated": nn.GRU, "lstm": nn.LSTM}
NETWORKS = tuple(_LAYERS)
"""Elman's recurrent network (tanh), gated recurrent units, long short-term memory."""


def draw_sequences(
    rows: int, lengths: tuple[int, int], seed: int, *, near: bool = False
) -> tuple[Int[np.ndarray, "rows longest"], Int[np.ndarray, " rows"], Int[np.ndarray, " rows"]]:
    """Symbols 0 … 9, behind each sequence 0; lengths; and 1 for a palindrome, 0 for none.

    The label is a fair coin; the length is uniform, among those of at least 2 where y = 0, as a single symbol is a
    palindrome. A palindrome is a random first half and its mirror image. Others have random symbols, drawn until they
    are none; `near` makes them of a palindrome in which one symbol (never the middle one) is another.
    """
    low, high = lengths
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, rows) if high > 1 else np.ones(rows, np.int64)
    length = np.where(y == 1, rng.integers(low, high + 1, rows), rng.integers(max(2, low), max(2, high) + 1, rows))
    x, wrong = rng.integers(0, SYMBOLS, (rows, high)), np.flatnonzero(y == 0)
    place = np.arange(high)
    mirror = np.clip(length[:, None] - 1 - place, 0, high - 1)
    first = place < (length[:, None] + 1) // 2
    palindromes = np.where(first, x, np.take_along_axis(x, mirror, 1))
    if near:
        at = rng.integers(0, length[wrong] // 2)
        palindromes[wrong, at] = (palindromes[wrong, at] + rng.integers(1, SYMBOLS, len(wrong))) % SYMBOLS
        x = palindromes
    else:
        x[y == 1] = palindromes[y == 1]
        while len(wrong := wrong[_is_palindrome(x[wrong], length[wrong])]):
            x[wrong] = rng.integers(0, SYMBOLS, (len(wrong), high))
    return np.where(place < length[:, None], x, 0), length, y


def _is_palindrome(x: Int[np.ndarray, "rows longest"], length: Int[np.ndarray, " rows"]) -> Bool[np.ndarray, " rows"]:
    place = np.arange(x.shape[1])
    mirror = np.clip(length[:, None] - 1 - place, 0, None)
    same = x == np.take_along_axis(x, mirror, 1)
    return np.asarray((same | (place >= length[:, None])).all(1))


class Recogniser(torch_nn.Module):
    """Symbols [*member, batch, time] and lengths [*member, batch] -> a logit: a dense layer on the last state."""

    stacked: ClassVar[bool] = True

    def __init__(self, name: str, hidden: int) -> None:
        super().__init__()
        self.recurrent = _LAYERS[name](SYMBOLS, hidden)
        self.judge = nn.Linear(hidden, 1)

    def forward(
        self, symbols: Int[Tensor, "*member batch time"], lengths: Int[Tensor, "*member batch"]
    ) -> Float[Tensor, "*member batch 1"]:
        x = functional.one_hot(symbols, SYMBOLS).to(self.judge.weight.dtype)
        _, last = self.recurrent(x, lengths)
        state = last[0] if isinstance(last, tuple) else last
        output: Tensor = self.judge(state.select(-3, 0))
        return output


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What one network came to, at the rate that did best on sequences of its own.

    error: share of wrong answers on fresh sequences, mean over the seeds; low, high: of the best and the worst seed.
    near: error where every other sequence differs from a palindrome in one symbol only. by_length: error by length.
    curve: (sequences seen, error) of that rate while it trained, on the sequences that chose, mean over the seeds.
    rates: rate -> error at its end on those. weights: of one network.
    """

    network: str
    rate: float
    error: float
    low: float
    high: float
    near: float
    by_length: Mapping[int, float]
    curve: Sequence[tuple[int, float]]
    rates: Mapping[float, float]
    weights: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Palindrome:
    """The answer to the claim, and the figures behind it."""

    claim: str
    answer: str
    holds: bool
    networks: tuple[Learned, ...]
    lengths: tuple[int, int]
    seeds: int
    steps: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def palindrome(
    *,
    networks: Sequence[str] = NETWORKS,
    lengths: tuple[int, int] = (1, 10),
    seeds: int = 3,
    steps: int = 1_200,
    rates: Sequence[float] = RATES,
    hidden: int = HIDDEN,
    threads: int = 2,
) -> Palindrome:
    """Trains each network at each rate with each seed, as one population, on sequences that it sees once.

    AdamW, batches of 64, warm-up and cosine. lengths: (shortest, longest). The rate of a network is chosen on 1,000
    sequences, its errors are those on 2,000 others. The claim holds where the worst seed of every gated network is
    better than the best seed of the plain one.
    """
    low, high = lengths
    if not 1 <= low <= high or high < 2:
        raise InputError(
            f"Lengths from {low} to {high}.", fix="Give 1 ≤ shortest ≤ longest, and 2 at least as longest."
        )
    if seeds < 1 or steps < 1 or hidden < 1 or not rates:
        raise InputError(
            f"{seeds} seeds, {steps} steps, {hidden} units, {len(rates)} rates; expected at least 1 each."
        )
    for name in networks:
        if name not in _LAYERS:
            raise unknown("network", name, _LAYERS)
    began = perf_counter()
    data = _Data.draw(lengths, steps)
    learned = [_train(name, data, seeds, steps, tuple(rates), hidden, threads) for name in networks]
    holds, answer = _answer(learned)
    return Palindrome(
        claim=CLAIM,
        answer=answer,
        holds=holds,
        networks=tuple(learned),
        lengths=lengths,
        seeds=seeds,
        steps=steps,
        seconds=perf_counter() - began,
    )


@dataclass(frozen=True)
class _Data:
    """Sequences of all parts below each other, and the rows of each part."""

    inputs: tuple[Tensor, Tensor]
    target: Int[np.ndarray, " rows"]
    train: Int[np.ndarray, " train"]
    choose: Int[np.ndarray, " choose"]
    fresh: Int[np.ndarray, " fresh"]
    near: Int[np.ndarray, " near"]

    @classmethod
    def draw(cls, lengths: tuple[int, int], steps: int) -> "_Data":
        """As many sequences as all steps take, and those that choose and judge."""
        sizes = (steps * BATCH, JUDGED, 2 * JUDGED, 2 * JUDGED)
        parts = [draw_sequences(size, lengths, seed, near=seed == 3) for seed, size in enumerate(sizes)]
        symbols, length, y = (np.concatenate(column) for column in zip(*parts, strict=True))
        places = np.split(np.arange(len(y)), np.cumsum(sizes)[:-1])
        return cls((torch.from_numpy(symbols), torch.from_numpy(length)), y, *places)

    def errors(self, population: Population, rows: Int[np.ndarray, " rows"]) -> Float[np.ndarray, "setting seed"]:
        """The share of wrong answers of every member."""
        return np.stack([self.wrong(population, seed, rows).mean(1) for seed in range(population.streams)], 1)

    def wrong(
        self, population: Population, seed: int, rows: Int[np.ndarray, " rows"]
    ) -> Bool[np.ndarray, "setting rows"]:
        """Which answers of every rate's member of one seed are wrong."""
        logits = population.outputs(seed, rows, averaged=False)[..., 0].numpy()
        return np.asarray((logits > 0) != (self.target[rows] == 1))


def _train(
    name: str, data: _Data, seeds: int, steps: int, rates: tuple[float, ...], hidden: int, threads: int
) -> Learned:
    """One network at all rates and seeds in lock-step."""
    began = perf_counter()
    streams = tuple(Stream(seed=seed, fold=0, train=data.train, validation=data.choose) for seed in range(seeds))
    task = Binary(names=("palindrome",), classes=("no", "yes"))
    problem = Problem(
        inputs=data.inputs,
        target=torch.from_numpy(data.target),
        streams=streams,
        build=lambda: Recogniser(name, hidden),
        loss=task.loss,
    )
    segment = max(1, steps // POINTS)
    plan = Plan(executor="stacked", horizon=steps, segment=segment, batch_size=BATCH, threads=threads)
    settings = [Setting(learning_rate=rate) for rate in rates]
    population = Population(problem, settings, plan, AdamW(), Cosine(warmup_fraction=0.1))
    seen, curves = [0], [data.errors(population, data.choose)]
    for _, last in plan.segments:
        population.run(last)
        seen.append(last * BATCH)
        curves.append(data.errors(population, data.choose))
    chosen = curves[-1].mean(1)
    best = int(chosen.argmin())
    mine = np.stack([data.wrong(population, seed, data.fresh)[best] for seed in range(seeds)])
    length = data.inputs[1].numpy()[data.fresh]
    near = data.errors(population, data.near)[best]
    return Learned(
        network=name,
        rate=rates[best],
        error=float(mine.mean()),
        low=float(mine.mean(1).min()),
        high=float(mine.mean(1).max()),
        near=float(near.mean()),
        by_length={int(n): float(mine[:, length == n].mean()) for n in np.unique(length)},
        curve=[(at, float(errors[best].mean())) for at, errors in zip(seen, curves, strict=True)],
        rates={rate: float(error) for rate, error in zip(rates, chosen, strict=True)},
        weights=population.program.layout.used,
        seconds=perf_counter() - began,
    )


def _answer(learned: Sequence[Learned]) -> tuple[bool, str]:
    """Whether the claim holds of what was learned, and a sentence that says so."""
    told = ", ".join(f"{each.network} {each.error:.1%} ({each.low:.1%} to {each.high:.1%})" for each in learned)
    plain = [each for each in learned if each.network == "rnn"]
    gated = [each for each in learned if each.network != "rnn"]
    holds = bool(plain and gated) and max(each.high for each in gated) < plain[0].low
    if not (plain and gated):
        return False, f"Nothing to compare. Errors: {told}."
    words = "Holds" if holds else "Not confirmed: the seeds overlap, or the plain network is better"
    return holds, f"{words}. Errors: {told}."
