"""Fitting of the preprocessing of networks for signals, on the given (training) rows and nothing else."""

import numpy as np
import torch
from jaxtyping import Int, Num
from torch import Tensor
from torch import nn as torch_nn

from tutti import core, nn

SAMPLE = 10_000
"""Statistics are taken on at most so many rows, drawn without replacement by a fixed key."""

CHUNK = 2**22  # numbers that are looked at together
APART = 30.0

_KEY = core.stream_key(0x518)


def sizes_apart(
    values: Num[Tensor, "row channel time"], lengths: Int[Tensor, " row"], rows: Int[np.ndarray, " train"]
) -> bool:
    """Whether the middle nine tenths of these signals' standard deviations span more than a factor of APART."""
    if len(rows) > SAMPLE:
        rows = rows[np.sort(core.permutation(_KEY, len(rows))[:SAMPLE])]
    sizes = []
    each = max(1, CHUNK // (values.shape[1] * values.shape[2]))
    for part in torch.from_numpy(rows).split(each):
        _, size = nn.level_and_size(values[part].to(torch.float32), lengths[part])
        sizes.append(size.amax(-2).flatten())
    low, high = torch.cat(sizes).quantile(torch.tensor([0.05, 0.95])).tolist()
    return bool(high > APART * low)


def fit_signals(
    network: torch_nn.Module,
    values: Num[Tensor, "row channel time"],
    lengths: Int[Tensor, " row"],
    rows: Int[np.ndarray, " train"],
) -> dict[str, Tensor]:
    """`centre` and `scale` of every nn.SignalInput: mean and 1 / standard deviation of each of its channels.

    Its channels are the signals' own, or the bands of its spectrogram; every time that is there counts alike. A
    channel that does not vary gets the scale 0.
    """
    fitted: dict[str, Tensor] = {}
    for prefix, layer in network.named_modules():
        if isinstance(layer, nn.SignalInput):
            name = f"{prefix}." if prefix else ""
            centre, scale = _statistics(layer, values, lengths, rows)
            fitted |= {f"{name}centre": centre, f"{name}scale": scale}
    return fitted


@torch.no_grad()
def _statistics(
    layer: nn.SignalInput,
    values: Num[Tensor, "row channel time"],
    lengths: Int[Tensor, " row"],
    rows: Int[np.ndarray, " train"],
) -> tuple[Tensor, Tensor]:
    """Two passes in float64 would read all twice: sums around the first chunk's mean are as exact."""
    if len(rows) > SAMPLE:
        rows = rows[np.sort(core.permutation(_KEY, len(rows))[:SAMPLE])]
    each = max(1, CHUNK // (values.shape[1] * values.shape[2]))
    origin: Tensor | None = None
    total = square = torch.zeros(layer.channels, dtype=torch.float64)
    count = 0
    for part in torch.from_numpy(rows).split(each):
        x, n = layer.features(values[part], lengths[part])
        x = x.double()
        there = (torch.arange(x.shape[-1]) < n[:, None])[:, None]
        if origin is None:
            origin = (x * there).sum((0, 2)) / n.sum()
        x = torch.where(there, x - origin[:, None], 0)
        total, square, count = total + x.sum((0, 2)), square + x.square().sum((0, 2)), count + int(n.sum())
    assert origin is not None
    mean = total / count
    centre = origin + mean
    sd = (square / count - mean**2).clamp(min=0).sqrt()
    # rounding leaves a constant channel with an sd of about 1e-7 of its mean
    scale = torch.where(sd > 1e-6 * centre.abs(), 1 / sd.clamp(min=1e-30), 0.0)
    return centre.float(), scale.float()
