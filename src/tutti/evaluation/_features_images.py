"""What an expert would try first on images: histograms of oriented gradients, with a linear model or trees."""

# mypy: disable-error-code="no-untyped-call"

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.nn import functional

from tutti.core import Rows, Splits
from tutti.data import Images
from tutti.evaluation._inputs import Inputs
from tutti.evaluation._learners import Linear, Model, Setting, Trees
from tutti.evaluation._problem import Problem

BINS = 9
CELL, BLOCK = 4, 2  # pixels of a cell's side at 32 pixels of the image's shorter side; cells of a block's side
SIDE = 32  # pixels of the shorter side at which gradients are taken, at most
POOLED = 8  # a side of the picture of mean values that stands beside the histograms
CLIP = 0.2
TINY = 1e-5
CHUNK = 1024


def inputs(sample: Images, splits: Splits) -> Inputs:
    """Features of every image; the linear model learns from all of them, trees from the means alone."""
    numbers = features(sample)
    means = slice(numbers.shape[1] - sample.shape.channels * POOLED**2, None)
    learners = (Linear, lambda problem: PooledTrees(problem, means))
    return Inputs(numbers=numbers, codes=np.zeros((len(numbers), 0), np.int32), learners=learners)


class PooledTrees(Trees):
    """Boosted trees on some of the columns. On all histograms they take about twenty times as long, and the linear
    model, which sees these, was still ahead (docs/LOG.md, 2026-11-21)."""

    def __init__(self, problem: Problem, columns: slice) -> None:
        super().__init__(problem)
        self.columns = columns

    def begin(self, setting: Setting, rows: np.ndarray) -> Model:
        from sklearn.compose import ColumnTransformer

        steps = ColumnTransformer([("means", "passthrough", self.columns)])
        table = steps.fit_transform(self.problem.matrix(rows))
        return Model(self.problem, rows, steps, table, lambda: self._estimator(setting))


def features(sample: Images) -> Float[np.ndarray, "rows feature"]:
    """Each image's histograms of oriented gradients, then its means on an 8 × 8 grid, channel by channel.

    Images of more than 32 pixels on the shorter side are first brought to that, by means of areas.
    """
    (pixels,) = sample.inputs()
    parts = np.array_split(np.arange(len(sample)), -(-len(sample) // CHUNK))
    return np.concatenate([_features(_rows(pixels, part)) for part in parts])


def _rows(pixels: Tensor | Rows, rows: Int[np.ndarray, " batch"]) -> Tensor:
    return pixels[torch.from_numpy(rows)] if isinstance(pixels, Tensor) else pixels.read(rows)


def _features(pixels: Shaped[Tensor, "batch channel height width"]) -> Float[np.ndarray, "batch feature"]:
    values = pixels.float() / 255
    shorter = min(values.shape[2:])
    if shorter > SIDE:
        size = [max(1, round(side * SIDE / shorter)) for side in values.shape[2:]]
        values = functional.interpolate(values, size, mode="area")
    pooled = functional.adaptive_avg_pool2d(values, POOLED).flatten(1)
    return torch.cat([hog(values), pooled], 1).numpy()


def hog(
    values: Float[Tensor, "batch channel height width"], *, cell: int = CELL, block: int = BLOCK, bins: int = BINS
) -> Float[Tensor, "batch feature"]:
    """Histograms of oriented gradients (Dalal & Triggs 2005, section 6).

    The gradient is [−1, 0, 1] along both axes (0 beyond the border's pixels), of the channel where it is largest; its
    orientation, unsigned, in `bins` bins over 180°. Each pixel votes with its length, shared linearly between the two
    nearest bins and, along both axes, between the two nearest cells of `cell` × `cell` pixels. Every block of `block`
    × `block` neighbouring cells is divided by √(‖v‖² + ε²), cut at 0.2 and divided anew (L2-Hys). The cells begin at
    the upper left; a rest of at least half a cell makes one more. Their Gaussian window over a block is left out (it
    gave them 1 %). Results run over block rows, block columns, the block's cell rows, cell columns, and bins.
    """
    cells = _histograms(values, cell, bins)
    rows, columns = cells.shape[1:3]
    block = min(block, rows, columns)
    blocks = cells.unfold(1, block, 1).unfold(2, block, 1)
    vectors = rearrange(blocks, "n rows columns bin i j -> n rows columns (i j bin)")
    for limit in (CLIP, None):
        vectors = vectors / (vectors.square().sum(-1, keepdim=True) + TINY**2).sqrt()
        vectors = vectors if limit is None else vectors.clamp(max=limit)
    return vectors.flatten(1)


def _histograms(
    values: Float[Tensor, "batch channel height width"], cell: int, bins: int
) -> Float[Tensor, "batch row column bin"]:
    length, angle = _gradients(values)
    height, width = length.shape[1:]
    rows, columns = (max(1, int(side / cell + 0.5)) for side in (height, width))
    place = angle * bins - 0.5  # angle in [0, 1) of half a turn; bin centres lie at ½, 1½, …
    low = place.floor()
    share = place - low
    votes = length.new_zeros(len(length), bins, height, width)
    votes.scatter_add_(1, (low.long() % bins)[:, None], (length * (1 - share))[:, None])
    votes.scatter_add_(1, ((low.long() + 1) % bins)[:, None], (length * share)[:, None])
    down, across = (_shares(side, n, cell).to(votes) for side, n in ((height, rows), (width, columns)))
    return torch.einsum("nbhw,rh,cw->nrcb", votes, down, across)


def _gradients(
    values: Float[Tensor, "batch channel height width"],
) -> tuple[Float[Tensor, "batch height width"], Float[Tensor, "batch height width"]]:
    """Length, and orientation in [0, 1) of half a turn, of the channel with the longest gradient."""
    down, right = torch.zeros_like(values), torch.zeros_like(values)
    down[:, :, 1:-1] = values[:, :, 2:] - values[:, :, :-2]
    right[..., 1:-1] = values[..., 2:] - values[..., :-2]
    length, channel = (down.square() + right.square()).sqrt().max(1)
    down, right = (g.gather(1, channel[:, None])[:, 0] for g in (down, right))
    return length, (torch.atan2(down, right) / torch.pi) % 1


def _shares(side: int, cells: int, cell: int) -> Float[Tensor, "cell side"]:
    """How much of its vote each pixel gives to each cell along one axis: linear between the cells' centres."""
    pixel = torch.arange(side) + 0.5
    centre = (torch.arange(cells) + 0.5) * cell
    return (1 - (pixel - centre[:, None]).abs() / cell).clamp(min=0)
