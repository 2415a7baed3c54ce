"""MiniROCKET: fixed convolution kernels, each told by how often it is positive (Dempster, Schmidt & Webb 2021)."""

from dataclasses import dataclass
from itertools import combinations
from math import log2

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

FEATURES = 9_996  # 84 kernels of 119 each
TAPS = 9
MOST_DILATIONS = 32
CHUNK = 2**18  # numbers that one kernel gives at once

TRIPLES = tuple(combinations(range(TAPS), 3))
"""The 84 kernels: three of nine weights are 2, the others −1, so that the sum is 0."""


@dataclass(frozen=True, eq=False)
class MiniRocket:
    """Features of signals: of every kernel, dilation and bias b the share of times at which the kernel gives more.

    Dilations are 2^e rounded down, e evenly from 0 to log₂((n − 1) / 8), 32 of them at most, n the length of the
    longest; equal ones share their features. 9,996 features are dealt over the dilations, all kernels alike. The
    biases of a kernel and dilation are quantiles of its output on one training signal drawn at random, at the levels
    (k · φ) mod 1, φ the golden ratio, k counted on over dilations and kernels. Where kernel + dilation number is odd,
    only times at which the whole kernel lies within the signal count; else zeros are padded. Of several channels each
    kernel and dilation adds up 2^u of them, u uniform on 0 … log₂(min(channels, 9) + 1), drawn at random.

    Signals of unequal length are measured over their own length; a kernel that is longer than a signal gives 0.
    """

    dilations: tuple[int, ...]
    counts: tuple[int, ...]  # biases of each kernel, by dilation
    channels: tuple[tuple[Int[np.ndarray, " _some"], ...], ...]  # by dilation, by kernel
    biases: tuple[Float[Tensor, "kernel _bias"], ...]  # by dilation

    @classmethod
    def fit(
        cls,
        x: Float[Tensor, "row channel time"],
        lengths: Int[Tensor, " row"],
        *,
        features: int = FEATURES,
        seed: int = 0,
    ) -> "MiniRocket":
        """Dilations, channels and biases from these training signals; zeros stand behind their ends."""
        rng = np.random.default_rng(seed)
        dilations, counts = _dilations(int(lengths.max()), max(1, features // len(TRIPLES)))
        most = min(x.shape[1], 9)
        channels = tuple(
            tuple(
                np.sort(rng.choice(x.shape[1], int(2 ** rng.uniform(0, log2(most + 1))), replace=False))
                for _ in TRIPLES
            )
            for _ in dilations
        )
        used, biases = 0, []
        for dilation, count, groups in zip(dilations, counts, channels, strict=True):
            rows = rng.integers(len(x), size=len(TRIPLES))
            levels = torch.from_numpy((np.arange(used + 1, used + 1 + count * len(TRIPLES)) * ((5**0.5 + 1) / 2)) % 1)
            used += count * len(TRIPLES)
            own = []
            for kernel, (row, level) in enumerate(zip(rows, levels.view(-1, count), strict=True)):
                n = int(lengths[row])
                output = _convolved(x[row : row + 1, groups[kernel], :n].sum(1), dilation, kernel)
                own.append(torch.quantile(output[0].double(), level).float())
            biases.append(torch.stack(own))
        return cls(dilations, counts, channels, tuple(biases))

    def features(
        self, x: Float[Tensor, "row channel time"], lengths: Int[Tensor, " row"]
    ) -> Float[np.ndarray, "row feature"]:
        """[row, feature], dilation by dilation, kernel by kernel, bias by bias."""
        total = sum(count * len(TRIPLES) for count in self.counts)
        out = torch.empty(len(x), total)
        step = max(1, CHUNK // x.shape[-1])
        for first in range(0, len(x), step):
            self._fill(out[first : first + step], x[first : first + step], lengths[first : first + step])
        return out.numpy()

    def _fill(self, out: Tensor, x: Tensor, lengths: Tensor) -> None:
        """Writes the features of some signals; all of one length go without masks."""
        n = int(lengths.max())
        x = x[..., :n]
        alike = bool((lengths == n).all())
        times = torch.arange(n)
        place = 0
        for number, (dilation, count, groups, biases) in enumerate(
            zip(self.dilations, self.counts, self.channels, self.biases, strict=True)
        ):
            reach = dilation * (TAPS // 2)
            single = _taps(x[:, 0], dilation) if x.shape[1] == 1 else []
            base = -sum(single[1:], single[0]) if single else x  # all kernels share it where they share the signal
            mixed = x if single else torch.einsum("kc,rct->krt", _sums(groups, x.shape[1]), x)
            for kernel, triple in enumerate(TRIPLES):
                if single:
                    y = base + 3 * (single[triple[0]] + single[triple[1]] + single[triple[2]])
                else:
                    y = _convolved(mixed[kernel], dilation, kernel)
                inner = (number + kernel) % 2 == 1
                size = (lengths - 2 * reach if inner else lengths).clamp(min=1)
                if not alike:
                    low, high = (reach, lengths - reach) if inner else (0, lengths)
                    y = y.masked_fill((times < low) | (times >= high[:, None]), -torch.inf)
                elif inner:
                    y = y[:, reach : n - reach]
                out[:, place : place + count] = _counts(y, biases[kernel]) / size[:, None]
                place += count


def _counts(y: Float[Tensor, "row time"], biases: Float[Tensor, " bias"]) -> Float[Tensor, "row bias"]:
    """How many times are above each bias. As floats times ones: four times as fast as a sum of booleans."""
    above = y.new_empty(len(y), len(biases), y.shape[-1])
    torch.gt(y[:, None], biases[:, None], out=above)
    return above @ y.new_ones(y.shape[-1])


def _sums(groups: tuple[Int[np.ndarray, " _some"], ...], channels: int) -> Float[Tensor, "kernel channel"]:
    """1 where a kernel adds up a channel, else 0."""
    sums = torch.zeros(len(groups), channels)
    for kernel, group in enumerate(groups):
        sums[kernel, group] = 1
    return sums


def _dilations(length: int, per_kernel: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Dilations and how many biases each kernel has at each."""
    wanted = min(per_kernel, MOST_DILATIONS)
    top = log2(max(1.0, (length - 1) / (TAPS - 1)))
    each, times = np.unique(np.logspace(0, top, wanted, base=2).astype(np.int32), return_counts=True)
    counts = (times * (per_kernel / wanted)).astype(np.int32)
    for place in range(per_kernel - int(counts.sum())):
        counts[place % len(counts)] += 1
    return tuple(each.tolist()), tuple(counts.tolist())


def _taps(x: Float[Tensor, "row time"], dilation: int) -> list[Float[Tensor, "row time"]]:
    """x at t + (j − 4) · dilation for the nine taps j, zeros outside."""
    reach = dilation * (TAPS // 2)
    wide = torch.nn.functional.pad(x, (reach, reach))
    return [wide[:, j * dilation : j * dilation + x.shape[-1]] for j in range(TAPS)]


def _convolved(x: Float[Tensor, "row time"], dilation: int, kernel: int) -> Float[Tensor, "row time"]:
    taps = _taps(x, dilation)
    a, b, c = TRIPLES[kernel]
    return 3 * (taps[a] + taps[b] + taps[c]) - sum(taps[1:], taps[0])
