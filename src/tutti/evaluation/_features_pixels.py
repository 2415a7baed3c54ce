"""Baselines of segmentation: an expert's features of each pixel, and a linear model and a forest on them."""

# mypy: disable-error-code="no-untyped-call"

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import lru_cache, partial
from math import prod
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from tutti.core import InputError, Splits
from tutti.data import Sample
from tutti.evaluation._inputs import Inputs
from tutti.evaluation._learners import Setting
from tutti.evaluation._problem import Problem

SCALES = (1.0, 2.0, 4.0, 8.0)  # standard deviations of the smoothing, in pixels
PIXELS = 2_000  # drawn from each training image
MOST_PIXELS = 200_000  # drawn in all
UNLABELLED = 255
TREES = 100


def inputs(sample: Sample, splits: Splits) -> Inputs:
    """No features of whole images; a linear model and a forest on pixels."""
    rows = splits.rows
    nothing = np.zeros((rows, 0), np.float32), np.zeros((rows, 0), np.int32)
    return Inputs(
        numbers=nothing[0],
        codes=nothing[1],
        learners=(partial(PixelLinear, sample=sample), partial(PixelForest, sample=sample)),
    )


def pixel_features(image: UInt8[np.ndarray, "channel height width"]) -> Float[np.ndarray, "pixel feature"]:
    """What a trainable pixel classifier looks at (as in ilastik, Sommer et al. 2011), 17 numbers per channel.

    The value; and at each of SCALES, of the image smoothed by a Gaussian: its value, the length of its gradient, and
    the larger and the smaller eigenvalue of its Hessian (a dark line has one large and one small, a blob two large).
    Derivatives are scaled by σ and σ², so that scales compare; edges are mirrored.
    """
    from scipy.ndimage import gaussian_filter  # type: ignore[attr-defined]  # its stubs do not list it

    found = []
    for channel in image.astype(np.float32):
        found.append(channel)
        for sigma in SCALES:
            smooth = partial(gaussian_filter, channel, sigma, mode="reflect")
            found.append(smooth())
            found.append(sigma * np.hypot(smooth(order=(0, 1)), smooth(order=(1, 0))))
            down, across, both = (sigma**2 * smooth(order=order) for order in ((2, 0), (0, 2), (1, 1)))
            half, spread = (down + across) / 2, np.hypot((down - across) / 2, both)
            found += [half + spread, half - spread]
    return np.stack([each.reshape(-1) for each in found], axis=1)


class _Pixels:
    """Images of a sample as features of pixels, and the pixels that are drawn from each for training."""

    def __init__(self, problem: Problem, sample: Sample) -> None:
        self.problem = problem
        pixels = sample.inputs()[0]
        self._read = (
            pixels.__getitem__ if isinstance(pixels, torch.Tensor) else lambda rows: pixels.read(rows.numpy())
        )
        self.features = lru_cache(maxsize=2)(self._features)
        self.drawn = lru_cache(maxsize=4096)(self._drawn)

    def _features(self, row: int) -> Float[np.ndarray, "pixel feature"]:
        return pixel_features(self._read(torch.tensor([row]))[0].numpy())

    def _drawn(self, row: int, count: int) -> tuple[Float[np.ndarray, "drawn feature"], Int[np.ndarray, " drawn"]]:
        target = self.problem.target[row].reshape(-1)
        labelled = np.flatnonzero(target != UNLABELLED)
        chosen = np.random.default_rng([self.problem.seed, row]).permutation(labelled)[:count]
        return self.features(row)[chosen], target[chosen].astype(np.int64)

    def training(self, rows: Int[np.ndarray, " rows"]) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Features, classes and weights of the pixels drawn from these images."""
        count = max(1, min(PIXELS, MOST_PIXELS // max(1, len(rows))))
        parts = [self.drawn(int(row), count) for row in rows]
        mass = self.problem.mass(rows)
        weights = None if mass is None else np.repeat(mass, [len(target) for _, target in parts])
        return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts]), weights


class PixelModel:
    """A scikit-learn classifier of pixels, fitted at once."""

    def __init__(self, pixels: _Pixels, rows: np.ndarray, estimator: Any) -> None:
        self.pixels, self.rows, self.estimator = pixels, rows, estimator
        self.notes: set[str] = set()

    def grow(self, iterations: int) -> None:
        """Fits it."""
        features, target, weights = self.pixels.training(self.rows)
        if not len(target) or np.ptp(target) == 0:
            raise InputError("The training images have one class only.", fix="Give images that show another one.")
        last = self.estimator.steps[-1][0] if hasattr(self.estimator, "steps") else None
        told = {} if weights is None else {f"{last}__sample_weight" if last else "sample_weight": weights}
        self.estimator.fit(features, target, **told)
        self.notes.add(f"fitted on {len(target):,} pixels drawn from {len(self.rows):,} images")

    def predict(
        self, rows: np.ndarray, iterations: int | None = None
    ) -> Float[np.ndarray, "rows classes height width"]:
        """Probabilities of every pixel of these images."""
        problem = self.pixels.problem
        space = problem.target.shape[1:]
        found = np.zeros((len(rows), max(2, problem.outputs), prod(space)), np.float32)
        for place, row in enumerate(rows):
            shares = self.estimator.predict_proba(self.pixels.features(int(row)))
            found[place, self.estimator.classes_.astype(int)] = shares.T
        return found.reshape(*found.shape[:2], *space)


class _PixelLearner(ABC):
    """What both share."""

    chunk = most = 1
    name: str
    values: tuple[tuple[str, tuple[float | int, ...]], ...]

    def __init__(self, problem: Problem, sample: Sample) -> None:
        self.pixels = _Pixels(problem, sample)
        self.axes: Mapping[str, tuple[float | int, ...]] = dict(self.values)
        self.start: Setting = {name: values[len(values) // 2] for name, values in self.axes.items()}
        self.quick: Setting = self.start

    def cost(self, setting: Setting) -> float:
        """What a fit takes, relative to the other settings: most of it is prediction."""
        return 1.0

    def begin(self, setting: Setting, rows: np.ndarray) -> PixelModel:
        return PixelModel(self.pixels, rows, self.estimator(setting))

    @abstractmethod
    def estimator(self, setting: Setting) -> Any: ...


class PixelLinear(_PixelLearner):
    """Logistic regression on standardised pixel features, over C."""

    name = "linear on pixels"
    values = (("C", (1e-3, 1e-2, 0.1, 1.0, 10.0)),)

    def estimator(self, setting: Setting) -> Any:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        return make_pipeline(StandardScaler(), LogisticRegression(C=setting["C"], max_iter=1000))


class PixelForest(_PixelLearner):
    """A random forest (Breiman 2001) of 100 trees on pixel features, over the least number of pixels in a leaf."""

    name = "forest on pixels"
    values = (("min_samples_leaf", (1, 3, 10, 30)),)

    def estimator(self, setting: Setting) -> Any:
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(
            n_estimators=TREES,
            min_samples_leaf=setting["min_samples_leaf"],
            n_jobs=torch.get_num_threads(),
            random_state=self.pixels.problem.seed,
        )
