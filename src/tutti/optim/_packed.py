"""What an optimiser of others remembers, as tensors by name and plain values: exact, and without pickle."""

from collections import deque
from collections.abc import Callable, Mapping
from importlib import import_module
from math import isfinite
from typing import Any

import torch
from torch import Tensor

_NOT_STATE = ("state", "param_groups", "defaults")
_OBJECTS = {  # what some classes remember in: attributes are packed, and the class is looked up here by its name
    "GaLoreProjector": "pytorch_optimizer.optimizer.utils.galore",
    "PreConditioner": "pytorch_optimizer.optimizer.utils.preconditioner",
    "BlockPartitioner": "pytorch_optimizer.optimizer.utils.partition",
    **dict.fromkeys(
        ("Graft", "SGDGraft", "SQRTNGraft", "AdaGradGraft", "RMSPropGraft"), "pytorch_optimizer.optimizer.utils.graft"
    ),
}
_DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.int32, torch.uint8)


class CannotPackError(TypeError):
    """A value that is neither a tensor nor plain."""


def pack(value: Any, tensors: dict[str, Tensor], prefix: str) -> Any:
    """The value as JSON; tensors within it are put into `tensors`, named by `prefix` and their number."""
    if isinstance(value, Tensor):
        name = f"{prefix}{len(tensors)}"
        tensors[name] = value.detach().clone()
        return {"tensor": name}
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else {"float": repr(value)}
    if isinstance(value, deque):
        return {"deque": [pack(v, tensors, prefix) for v in value], "most": value.maxlen}
    if isinstance(value, list | tuple):
        items = [pack(v, tensors, prefix) for v in value]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, Mapping):
        return {"pairs": [[pack(k, tensors, prefix), pack(v, tensors, prefix)] for k, v in value.items()]}
    if isinstance(value, torch.dtype):
        return {"dtype": str(value).removeprefix("torch.")}
    if _OBJECTS.get(type(value).__name__) == type(value).__module__:
        return {"object": type(value).__name__, "holds": pack(vars(value), tensors, prefix)}
    raise CannotPackError(type(value).__name__)


def unpack(plain: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The value that `pack` was given; dicts of every kind come back as plain ones."""
    if isinstance(plain, list):
        return [unpack(v, tensors) for v in plain]
    if not isinstance(plain, dict):
        return plain
    if "tensor" in plain:
        return tensors[plain["tensor"]].clone()
    if "float" in plain:
        return float(plain["float"])
    if "tuple" in plain:
        return tuple(unpack(v, tensors) for v in plain["tuple"])
    if "deque" in plain:
        return deque((unpack(v, tensors) for v in plain["deque"]), plain["most"])
    if "dtype" in plain:
        return {str(d): d for d in _DTYPES}[f"torch.{plain['dtype']}"]
    if "object" in plain:
        cls = getattr(import_module(_OBJECTS[plain["object"]]), plain["object"])
        made = cls.__new__(cls)
        made.__dict__.update(unpack(plain["holds"], tensors))
        return made
    return {unpack(k, tensors): unpack(v, tensors) for k, v in plain["pairs"]}


def pack_optimizer(optimizer: Any, tensors: dict[str, Tensor], prefix: str) -> dict[str, Any]:
    """State, groups and further attributes of an optimiser, and of an optimiser that it holds.

    Attributes that are no plain values (hooks, functions) belong to its class and are left out; those of the state
    and of the groups raise CannotPackError.
    """
    places = {id(p): i for i, p in enumerate(_parameters(optimizer))}
    state = [[_key(p, places, tensors, prefix), pack(own, tensors, prefix)] for p, own in optimizer.state.items()]
    groups = [
        {k: pack(v, tensors, prefix) for k, v in group.items() if k != "params"} for group in optimizer.param_groups
    ]
    packed: dict[str, Any] = {"state": state, "groups": groups, "attributes": {}, "within": {}}
    for name, value in vars(optimizer).items():
        if isinstance(value, torch.optim.Optimizer):
            packed["within"][name] = pack_optimizer(value, tensors, prefix)
        elif name != "state" and isinstance(value, dict) and value and all(k in places for k in map(_number, value)):
            own = [[places[k], pack(v, tensors, prefix)] for k, v in value.items()]
            packed["attributes"][name] = {"by_parameter": own}
        elif name not in _NOT_STATE and not _holds(value, places):
            kept = dict(tensors)
            try:
                packed["attributes"][name] = pack(value, tensors, prefix)
            except CannotPackError:
                for extra in tensors.keys() - kept.keys():
                    del tensors[extra]
    return packed


def unpack_optimizer(optimizer: Any, packed: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Puts what `pack_optimizer` made back into an optimiser built alike, in place and without a cast."""
    parameters = _parameters(optimizer)
    optimizer.state.clear()
    for key, own in packed["state"]:
        where = parameters[key["place"]] if isinstance(key, dict) and "place" in key else unpack(key, tensors)
        optimizer.state[where] = unpack(own, tensors)
    for group, own in zip(optimizer.param_groups, packed["groups"], strict=True):
        group.update({k: unpack(v, tensors) for k, v in own.items()})
    for name, value in packed["attributes"].items():
        if isinstance(value, dict) and "by_parameter" in value:
            own = {id(parameters[place]): unpack(v, tensors) for place, v in value["by_parameter"]}
            setattr(optimizer, name, own)
        else:
            setattr(optimizer, name, unpack(value, tensors))
    for name, value in packed["within"].items():
        unpack_optimizer(getattr(optimizer, name), value, tensors)


def _key(key: Any, places: Mapping[int, int], tensors: dict[str, Tensor], prefix: str) -> Any:
    """A key of the state: mostly a parameter, by its place; some classes keep numbers under names of their own."""
    return {"place": places[id(key)]} if id(key) in places else pack(key, tensors, prefix)


def _number(key: Any) -> int:
    """The key where it is a number, else one that is none's identity."""
    return key if isinstance(key, int) else -1


def _parameters(optimizer: Any) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def _holds(value: Any, places: Mapping[int, int]) -> bool:
    """Whether the value is, or is full of, the parameters themselves."""
    is_one: Callable[[Any], bool] = lambda v: id(v) in places  # noqa: E731
    if isinstance(value, Mapping):
        return any(is_one(v) for v in (*value.keys(), *value.values()))
    return is_one(value) or (isinstance(value, list | tuple) and any(is_one(v) for v in value))
