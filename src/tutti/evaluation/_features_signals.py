"""Baselines for signals: MiniROCKET with ridge, the nearest neighbour, boosted trees on summary statistics."""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tutti import nn
from tutti.core import SignalShape, Splits
from tutti.data import Signals
from tutti.evaluation._inputs import Inputs
from tutti.evaluation._learners import Setting, Trees
from tutti.evaluation._minirocket import FEATURES, MiniRocket
from tutti.evaluation._problem import Problem
from tutti.evaluation._ridge import Ridge

SOUND = 4_000  # samples a second from which baselines too look at the log-mel spectrogram
COMPARISONS = 2e10  # what MiniROCKET may cost: signals · times · features; fewer features beyond
FEWEST = 84 * 12
MOST_PAIRS = 4e7  # rows · rows · … of the nearest neighbour's distances: fewer training rows beyond
BANDS = 8  # of the power spectrum, by octaves
MANY = 12  # channels beyond which each is described in fewer words


def inputs(sample: Signals, splits: Splits) -> Inputs:
    """Summary statistics for boosted trees; the signals themselves for MiniROCKET and the nearest neighbour."""
    x, lengths = looked_at(sample)
    return Inputs(
        numbers=statistics(x, lengths),
        codes=np.zeros((len(sample), 0), np.int32),
        learners=(partial(Rocket, x, lengths), partial(Nearest, x, lengths), SummaryTrees),
    )


def looked_at(sample: Signals) -> tuple[Float[Tensor, "row channel time"], Int[Tensor, " row"]]:
    """The signals as float32, zeros behind their ends; sound as a log-mel spectrogram."""
    values, lengths = sample.inputs()
    shape: SignalShape = sample.shape
    mel = nn.MelSpectrogram(shape.rate) if shape.rate is not None and shape.rate >= SOUND else None
    front = nn.SignalInput(shape.channels, mel)
    with torch.no_grad():
        parts = [front(*part) for part in zip(values.split(256), lengths.split(256), strict=True)]
    return torch.cat([x for x, _ in parts]), torch.cat([n for _, n in parts])


class Rocket:
    """MiniROCKET (see MiniRocket), then ridge on its standardised features over alpha, with probabilities.

    The transform is fitted on the training rows given, once per set of rows. Of very many or long signals it takes
    fewer features than 9,996, COMPARISONS in all.
    """

    name = "MiniROCKET"
    chunk = most = 1

    def __init__(self, x: Float[Tensor, "row channel time"], lengths: Int[Tensor, " row"], problem: Problem) -> None:
        self.problem = problem
        self.axes: Mapping[str, tuple[float | int, ...]] = {"alpha": tuple(10.0 ** (k / 2) for k in range(-4, 13))}
        self.start: Setting = {"alpha": 100.0}
        self.quick: Setting = self.start
        short = max(0, 9 - x.shape[-1])  # a kernel has nine taps
        self.x, self.lengths = torch.nn.functional.pad(x, (0, short)), lengths.clamp(min=9)
        self.features = int(min(FEATURES, max(FEWEST, COMPARISONS / (len(x) * x.shape[-1]))))
        self._prepared: dict[bytes, tuple[Transformed, Ridge]] = {}

    def cost(self, setting: Setting) -> float:
        """What a fit takes, relative to the other settings."""
        return 1.0

    def begin(self, setting: Setting, rows: np.ndarray) -> "FittedRidge":
        key = rows.tobytes()
        if key not in self._prepared:
            index = torch.from_numpy(rows)
            rocket = MiniRocket.fit(
                self.x[index], self.lengths[index], features=self.features, seed=self.problem.seed
            )
            ridge = Ridge.prepare(rocket.features(self.x[index], self.lengths[index]), self.problem, rows)
            self._prepared = {key: (Transformed(rocket, self.x, self.lengths), ridge)}
        transformed, ridge = self._prepared[key]
        return FittedRidge(transformed, ridge.solve(float(setting["alpha"])), self.features)


class Transformed:
    """Features of the rows that were asked for last: every alpha is judged on the same ones."""

    def __init__(
        self, rocket: MiniRocket, x: Float[Tensor, "row channel time"], lengths: Int[Tensor, " row"]
    ) -> None:
        self.rocket, self.x, self.lengths = rocket, x, lengths
        self._last: tuple[bytes, Float[np.ndarray, "row feature"]] | None = None

    def __call__(self, rows: Int[np.ndarray, " some"]) -> Float[np.ndarray, "some feature"]:
        key = rows.tobytes()
        if self._last is None or self._last[0] != key:
            index = torch.from_numpy(rows)
            self._last = key, self.rocket.features(self.x[index], self.lengths[index])
        return self._last[1]


class FittedRidge:
    """A ridge model on MiniROCKET's features."""

    def __init__(self, transformed: Transformed, model: Callable[[np.ndarray], np.ndarray], features: int) -> None:
        self.transformed, self.model = transformed, model
        self.notes: set[str] = set()
        if features < FEATURES:
            self.notes.add(f"{features:,} features in place of {FEATURES:,}")

    def grow(self, iterations: int) -> None:
        """Solved at once."""

    def predict(self, rows: np.ndarray, iterations: int | None = None) -> np.ndarray:
        """For these rows in the task's format."""
        return self.model(self.transformed(rows))


class Nearest:
    """The nearest training signals by Euclidean distance, `neighbours` of them: their classes' shares or mean value.

    Channels are standardised on the training rows, and signals compared as they stand, zeros behind their ends. One
    neighbour says a class without doubt, so the shares are smoothed by half a vote spread over all classes.
    """

    name = "nearest neighbour"
    chunk = most = 1

    def __init__(self, x: Float[Tensor, "row channel time"], lengths: Int[Tensor, " row"], problem: Problem) -> None:
        self.problem, self.x = problem, x
        self.axes: Mapping[str, tuple[float | int, ...]] = {"neighbours": (1, 3, 5)}
        self.start: Setting = {"neighbours": 1}
        self.quick: Setting = self.start
        self.there = nn.present_times(lengths, x.shape[-1])

    def cost(self, setting: Setting) -> float:
        """What a fit takes, relative to the other settings."""
        return 1.0

    def begin(self, setting: Setting, rows: np.ndarray) -> "FittedNearest":
        return FittedNearest(self, int(setting["neighbours"]), rows)


class FittedNearest:
    """Training signals that are looked up."""

    def __init__(self, learner: Nearest, neighbours: int, rows: np.ndarray) -> None:
        self.learner, self.neighbours, self.rows = learner, min(neighbours, len(rows)), rows
        self.notes: set[str] = set()
        index = torch.from_numpy(rows)
        x, there = learner.x[index], learner.there[index]
        count = there.sum((0, 2)).clamp(min=1)[:, None]
        self.centre = x.where(there, 0).sum((0, 2))[:, None] / count
        square = (x - self.centre).where(there, 0).square().sum((0, 2))[:, None] / count
        self.scale = torch.where(square > 0, square.clamp(min=1e-30).rsqrt(), 0.0)
        self.known = self._flat(rows)

    def grow(self, iterations: int) -> None:
        """Nothing is fitted but a scaling."""

    def _flat(self, rows: np.ndarray) -> Float[Tensor, "row number"]:
        index = torch.from_numpy(rows)
        x = (self.learner.x[index] - self.centre) * self.scale
        return x.where(self.learner.there[index], 0).flatten(1)

    def predict(self, rows: np.ndarray, iterations: int | None = None) -> np.ndarray:
        """For these rows in the task's format."""
        problem = self.learner.problem
        size = max(1, int(MOST_PAIRS // len(self.rows)))
        nearest = torch.cat(
            [
                torch.cdist(self._flat(part), self.known).topk(self.neighbours, largest=False).indices
                for part in np.array_split(rows, max(1, -(-len(rows) // size)))
            ]
        )
        target = problem.target[self.rows][nearest.numpy()]
        if problem.kind in ("regression", "multilabel"):
            return np.asarray(target.reshape(len(rows), self.neighbours, -1).mean(1), np.float64)
        classes = max(2, problem.outputs)
        votes = np.eye(classes)[target].sum(1) + 0.5 / classes
        return np.asarray(votes / votes.sum(1, keepdims=True))


class SummaryTrees(Trees):
    """Boosted trees on summary statistics (see `statistics`)."""

    name = "boosted trees on statistics"


def statistics(x: Float[Tensor, "row channel time"], lengths: Int[Tensor, " row"]) -> Float[np.ndarray, "row number"]:
    """What an expert would first write down of each channel, over the times that are there:

    mean, standard deviation, least, quartiles, greatest; slope of the straight line through it; mean |step| from one
    sample to the next; share of steps that cross the mean; correlation with itself one and two samples later; where
    (0 … 1) its greatest and its least value stand; the shares of its power in octaves below half the rate, eight of
    them (the last holds all below). And the length. Of more than MANY channels only mean, standard deviation, least,
    greatest, slope.
    """
    there = nn.present_times(lengths, x.shape[-1])
    rows = []
    for start in range(0, len(x), 256):
        part, n = x[start : start + 256].double(), lengths[start : start + 256]
        rows.append(_described(part, there[start : start + 256], n))
    return np.concatenate(rows).astype(np.float32)


def _described(x: Tensor, there: Tensor, n: Tensor) -> np.ndarray:
    count = n[:, None].double()
    mean = x.where(there, 0).sum(-1) / count
    off = (x - mean[..., None]).where(there, 0)
    power = off.square().sum(-1).clamp(min=1e-30)
    holes = x.where(there, torch.nan)
    quantiles = torch.nanquantile(holes, torch.tensor([0, 0.25, 0.5, 0.75, 1], dtype=x.dtype), -1)
    time = torch.arange(x.shape[-1], dtype=x.dtype)
    centred = (time - (count[..., None] - 1) / 2).where(there, 0)
    slope = (centred * off).sum(-1) / centred.square().sum(-1).clamp(min=1)
    if x.shape[1] > MANY:
        few = torch.stack([mean, (power / count).sqrt(), quantiles[0], quantiles[-1], slope], -1)
        return torch.cat([few.flatten(1), count], 1).numpy()
    both = there[..., 1:]
    steps = (x.diff(dim=-1)).where(both, 0)
    crossing = ((off[..., 1:] * off[..., :-1]) < 0).where(both, False).sum(-1) / count
    lags = [(off[..., lag:] * off[..., :-lag]).sum(-1) / power if x.shape[-1] > lag else 0 * mean for lag in (1, 2)]
    top = x.where(there, -torch.inf).argmax(-1) / count
    low = x.where(there, torch.inf).argmin(-1) / count
    spectrum = torch.fft.rfft(off, n=max(2, x.shape[-1])).abs().square()
    edges = [spectrum.shape[-1] >> k for k in range(BANDS)] + [0]
    total = spectrum.sum(-1).clamp(min=1e-30)
    shares = [spectrum[..., a:b].sum(-1) / total for b, a in pairwise(edges)]
    parts = [mean, (power / count).sqrt(), *quantiles, slope, steps.abs().sum(-1) / count, crossing, *lags, top, low]
    return torch.cat([torch.stack([*parts, *shares], -1).flatten(1), count], 1).numpy()
