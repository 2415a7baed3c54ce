"""Tensors as safetensors bytes, and back."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import safetensors
import safetensors.numpy
import safetensors.torch
import torch
from torch import Tensor

from tutti.core import InputError

Array = np.ndarray | Tensor


def encode_tensors(tensors: Mapping[str, Array]) -> bytes:
    """The safetensors bytes of arrays and tensors. Views and tensors that share memory are written apart."""
    copies = {}
    for name, value in tensors.items():
        own = torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else value.detach().cpu()
        copies[name] = own.clone(memory_format=torch.contiguous_format)
    return safetensors.torch.save(copies)


def decode_arrays(data: bytes, what: str) -> dict[str, np.ndarray]:
    """The numpy arrays of safetensors bytes; `what` names their place in the error."""
    with _damage(what):
        return dict(safetensors.numpy.load(data))


def decode_tensors(data: bytes, what: str) -> dict[str, Tensor]:
    """The CPU tensors of safetensors bytes; `what` names their place in the error."""
    with _damage(what):
        return dict(safetensors.torch.load(data))


@contextmanager
def _damage(what: str) -> Iterator[None]:
    try:
        yield
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{what} is damaged: it is not valid safetensors.", fix="Restore it, or run again."
        ) from error
