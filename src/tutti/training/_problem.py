"""What a population trains on: tensors, streams of rows, a network to build and a loss."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tutti.core import InputError, Rows

Loss = Callable[..., Tensor]


@dataclass(frozen=True, kw_only=True)
class Stream:
    """One (seed, fold): the rows that its members train on, in an order that is theirs alone.

    `buffers` holds, by dotted name, the values of the network's preprocessing buffers, fitted on `train`.
    `target` is the target as this stream sees it (a regression standardised by its own training rows);
    None means the problem's.
    """

    seed: int
    fold: int
    train: Int[np.ndarray, " train"]
    validation: Int[np.ndarray, " validation"]
    buffers: Mapping[str, Tensor] = field(default_factory=dict)
    target: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Problem:
    """All that stays the same while a population trains.

    inputs: one tensor per argument of the network, each with `rows` as its first axis; or core.Rows, which are read
    batch by batch, ahead of need, by a thread of their own.
    target: [rows, …], encoded by the task. weights: one number >= 0 per row, or None.
    build: makes one network; its random initial values are drawn from torch's generator, which the engine
    seeds from (seed, fold), so that all settings of a stream start alike.
    loss(output, target, label_smoothing=…): per-sample loss [*member, batch].
    A network with attributes `front` and `body` computes body(*front(*inputs)); its front has no parameters
    and is evaluated once for all settings of a stream. `replicas` > 1 says that outputs carry one more axis,
    [*member, batch, replica, out]: the loss is the mean over replicas.
    """

    inputs: tuple[Tensor | Rows, ...]
    target: Tensor
    streams: tuple[Stream, ...]
    build: Callable[[], nn.Module]
    loss: Loss
    weights: Float[Tensor, " rows"] | None = None

    def __post_init__(self) -> None:
        rows = {len(x) for x in (*self.inputs, self.target)}
        if len(rows) != 1:
            raise InputError(f"Inputs and target have different numbers of rows: {sorted(rows)}.")
        if not self.streams:
            raise InputError("A population needs at least one stream of rows.")
        for stream in self.streams:
            if len(stream.train) == 0:
                raise InputError(f"Fold {stream.fold} has no training rows.")

    @property
    def rows(self) -> int:
        return len(self.target)

    def to(self, device: torch.device | str) -> "Problem":
        """This problem with its tensors on a device."""
        streams = tuple(
            Stream(
                seed=s.seed,
                fold=s.fold,
                train=s.train,
                validation=s.validation,
                buffers={k: v.to(device) for k, v in s.buffers.items()},
                target=None if s.target is None else s.target.to(device),
            )
            for s in self.streams
        )
        return Problem(
            inputs=tuple(x.to(device) if isinstance(x, Tensor) else x for x in self.inputs),
            target=self.target.to(device),
            streams=streams,
            build=self.build,
            loss=self.loss,
            weights=None if self.weights is None else self.weights.to(device),
        )
