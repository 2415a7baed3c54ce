"""Looking without touching: what a forward pass changes in a network is put back."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def untouched(network: nn.Module) -> Iterator[None]:
    """While open, passes may move a network's buffers (batch norm's statistics) and its parts' modes; afterwards all
    are as they were."""
    modes = [(part, part.training) for part in network.modules()]
    kept = [
        (part, name, buffer, buffer.clone())
        for part in network.modules()
        for name, buffer in part._buffers.items()
        if buffer is not None
    ]
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
        for part, name, buffer, value in kept:
            buffer.data.copy_(value)  # not counted as a change in place: a graph may hold the buffer
            part._buffers[name] = buffer  # forward may have bound the name to another
