"""Any value of ours as valid JSON, and back."""

import json
from collections.abc import Mapping
from enum import Enum
from math import isfinite
from typing import Any

import numpy as np
import torch

from tutti.core import InputError


def plain(value: Any) -> Any:
    """`value` as JSON knows it: dict, list, str, int, float, bool or None.

    NaN and infinities become None (JSON has no word for them). Taken: mappings (keys become strings), lists,
    tuples, sets (sorted), numpy scalars and arrays, torch tensors, enums, and objects with a `to_json()`. Any
    other type raises TypeError, so that nothing is written as its `repr` by accident.
    """
    match value:
        case Enum():
            return plain(value.value)
        case None | bool() | int() | str():
            return value
        case float():
            return float(value) if isfinite(value) else None
        case Mapping():
            return {str(plain(k)): plain(v) for k, v in value.items()}
        case list() | tuple():
            return [plain(v) for v in value]
        case set() | frozenset():
            return [plain(v) for v in sorted(value)]
        case np.generic() | np.ndarray():
            return plain(value.tolist())
        case torch.Tensor():
            return plain(value.detach().cpu().tolist())
        case _ if hasattr(value, "to_json"):
            return plain(value.to_json())
        case _:
            raise TypeError(f"{type(value).__name__} cannot be written as JSON.")


def encode(value: Any, *, indent: int | None = 1) -> bytes:
    """UTF-8 JSON of `plain(value)`; half characters (lone surrogates) are kept as \\uXXXX escapes."""
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=indent)
    return text.encode("utf8", errors="backslashreplace")


def decode(data: bytes, what: str) -> Any:
    """The value of JSON bytes; `what` names their place in the error."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{what} is damaged: it is not valid JSON.", fix="Restore it, or run again.") from error
