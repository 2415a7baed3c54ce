"""Following a computation: which tensor was made, or written into, by which call from which others."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, resolve_name

from tutti.core import InputError

MOST = 20_000  # nodes; beyond that a picture is no help
OVERWRITING = ("copy_", "fill_", "zero_", "normal_", "uniform_")  # nothing of what stood there is left
NodeKind = Literal["input", "parameter", "constant", "operation"]


@dataclass(frozen=True, kw_only=True)
class Made:
    """A tensor at one moment: a later write into it makes another entry. value: the number, or norm, it then had."""

    name: str
    kind: NodeKind
    layer: str
    shape: tuple[int, ...]
    value: float
    sources: tuple[int, ...]


class Recorder(TorchFunctionMode):
    """Notes every call of a torch function that makes a tensor of real or complex numbers from others, or writes
    into one.

    What a call has written into is told by the tensors' versions, which torch counts. A write is kept with its place
    in memory, so that views of the same memory become entries of their own when they are read next. What was made by
    other means (an autograd.Function) is found through autograd's own graph. made: the entries, sources first.
    gradients: by place, of those that the backward pass has reached. layer: its last is the module under way.
    """

    def __init__(self) -> None:
        super().__init__()
        self.made: list[Made] = []
        self.gradients: dict[int, float] = {}
        self.layer: list[str] = [""]
        self._places: dict[int, int] = {}  # by identity; what is known is kept, so that none is used twice
        self._kept: list[Any] = []
        self._versions: dict[int, int] = {}
        self._functions: dict[tuple[Any, int], int] = {}
        self._hooks: dict[int, Any] = {}
        self._writes: dict[int, list[tuple[Tensor, int | None, str]]] = {}  # by address of the storage
        self._read: dict[int, int] = {}  # how many of its storage's writes a known tensor takes into account

    def add(
        self, name: str, tensor: Tensor, sources: Sequence[int] = (), kind: NodeKind = "operation", layer: str = ""
    ) -> int:
        """A new entry for what a tensor holds now; its place."""
        if len(self.made) >= MOST:
            raise InputError(
                f"The computation has more than {MOST:,} operations.",
                fix="Look at a part of the network, or fewer rows.",
            )
        place = len(self.made)
        shape = tuple(tensor.shape)
        made = Made(name=name, kind=kind, layer=layer, shape=shape, value=number(tensor), sources=tuple(sources))
        self.made.append(made)
        self._places[id(tensor)] = place
        self._versions[id(tensor)] = tensor._version
        self._read[id(tensor)] = len(self._writes.get(_storage(tensor), ()))
        self._kept.append(tensor)
        self._follow(tensor, place)
        return place

    def _follow(self, tensor: Tensor, place: int) -> None:
        """Has the backward pass leave the gradient by what a tensor holds now."""
        if not tensor.requires_grad or place in self._hooks:
            return

        def keep(gradient: Tensor | None, place: int = place) -> None:
            if gradient is not None:
                self.gradients[place] = number(gradient)

        self._hooks[place] = tensor.register_hook(keep)
        if tensor.grad_fn is not None:
            self._functions[tensor.grad_fn, tensor.output_nr] = place

    def release(self) -> None:
        """Takes the hooks off the tensors, of which some outlive the recording."""
        for hook in self._hooks.values():
            hook.remove()

    def place(self, tensor: Tensor) -> int | None:
        """The entry of what a tensor holds now; None where that depends on nothing known."""
        found = self._places.get(id(tensor))
        every = self._writes.get(_storage(tensor), [])
        later = every[self._read.get(id(tensor), 0) :]
        touching = [write for write in later if _overlap(tensor, [write[0]]) != "none"]
        if touching:
            old = () if found is None or _overlap(tensor, [w for w, _, _ in touching]) == "all" else (found,)
            sources = tuple(dict.fromkeys((*old, *(place for _, place, _ in touching if place is not None))))
            if not sources:  # overwritten by what is not known
                self._places.pop(id(tensor), None)
                return None
            return self.add(touching[-1][2], tensor, sources, layer=self.layer[-1])
        if found is None:
            return self._behind(tensor)
        if tensor._version != self._versions[id(tensor)]:
            if not later:
                return self._changed(tensor, found)
            self._versions[id(tensor)] = tensor._version
        self._follow(tensor, found)
        return found

    def _changed(self, tensor: Tensor, found: int) -> int:
        """A new entry for a known tensor that was written into by what is no torch function."""
        made = None if (tensor.grad_fn, tensor.output_nr) in self._functions else self._behind(tensor)
        if made is None:
            raise InputError(
                f"The result of {self.made[found].name!r} has been changed in place by what cannot be followed.",
                fix="Write that operation so that it gives a new tensor.",
            )
        return made

    def _behind(self, tensor: Tensor) -> int | None:
        """A new entry for a tensor that only autograd knows, if it comes from known ones."""
        if tensor.grad_fn is None:
            return None
        known = self._functions.get((tensor.grad_fn, tensor.output_nr))
        if known is not None:
            return known
        sources: list[int] = []
        waiting, met = [tensor.grad_fn], {tensor.grad_fn}
        while waiting:
            for function, output in waiting.pop().next_functions:
                place = self._functions.get((function, output))
                leaf = self._places.get(id(getattr(function, "variable", None)))
                if place is not None or leaf is not None:
                    sources += [p for p in (place, leaf) if p is not None]
                elif function is not None and function not in met:
                    met.add(function)
                    waiting.append(function)
        name = _made_by(tensor)
        return self.add(name, tensor, sorted(set(sources)), layer=self.layer[-1]) if sources else None

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        kwargs = kwargs or {}
        name = _called(func)
        given = [*tensors(args), *tensors(kwargs)]
        places = {id(t): self.place(t) for t in given}
        versions = [t._version for t in given]
        result = func(*args, **kwargs)
        changed = [t for t, before in zip(given, versions, strict=True) if t._version != before]
        sources = [p for p in dict.fromkeys(places.values()) if p is not None]
        results = tensors(result)
        for tensor in results:
            real = tensor.is_floating_point() or tensor.is_complex()
            if real and sources and id(tensor) not in places and id(tensor) not in self._places:
                self.add(name, tensor, sources, layer=self.layer[-1])
        # Views of one memory share their version: of these, the one that was written into comes first.
        first = sorted(changed, key=lambda t: not any(t is made for made in results))
        rebound = [args[0]] if func == torch.Tensor.data.__set__ else []  # type: ignore[attr-defined]
        for tensor in rebound or {_storage(t): t for t in reversed(first)}.values():
            gone = rebound or name in OVERWRITING or any(tensor is out for out in tensors(kwargs.get("out", ())))
            self._write(name, tensor, [p for p in sources if not (gone and p == places[id(tensor)])])
        return result

    def _write(self, name: str, tensor: Tensor, sources: Sequence[int]) -> None:
        writes = self._writes.setdefault(_storage(tensor), [])
        self._kept.append(tensor)
        if sources:
            place: int | None = self.add(name, tensor, sources, layer=self.layer[-1])
        else:
            place = None
            self._places.pop(id(tensor), None)
        writes.append((tensor.detach(), place, name))
        self._read[id(tensor)] = len(writes)


def tensors(values: Any) -> list[Tensor]:
    """The tensors in nested tuples, lists and dicts."""
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, dict):
        values = list(values.values())
    return [t for v in values for t in tensors(v)] if isinstance(values, (list, tuple)) else []


def number(tensor: Tensor) -> float:
    """A single real number itself; of others the Euclidean norm."""
    values = tensor.detach()
    values = values.to_dense() if values.layout != torch.strided else values
    if values.numel() == 1 and not values.is_complex():
        return float(values)
    wide = torch.complex128 if values.is_complex() else torch.float64
    return float(torch.linalg.vector_norm(values.to(wide)))


def _called(func: Any) -> str:
    """The short name of a torch function: "linear", "add", "T"."""
    name: str = resolve_name(func) or getattr(func, "__name__", "operation")
    short = name.removesuffix(".__get__").removesuffix(".__set__").rsplit(".", 1)[-1]
    return short.strip("_") if short.startswith("__") else short


def _made_by(tensor: Tensor) -> str:
    """What autograd calls the operation behind a tensor."""
    return re.sub(r"Backward\d*$", "", str(tensor.grad_fn.name())) if tensor.grad_fn is not None else ""


def _storage(tensor: Tensor) -> int:
    """The address of a tensor's memory; of what has none of its own, a number that no address has."""
    return tensor.untyped_storage().data_ptr() if tensor.layout == torch.strided else -id(tensor)


def _overlap(tensor: Tensor, written: Sequence[Tensor]) -> Literal["none", "some", "all"]:
    """How much of a tensor's memory has been written, where these were written into."""
    if any(w.dtype != tensor.dtype for w in written):
        return "some"  # a complex tensor as real numbers
    length = tensor.untyped_storage().nbytes() // tensor.element_size()
    marks = torch.zeros(length, dtype=torch.bool, device=tensor.device)
    for w in written:
        marks.as_strided(w.shape, w.stride(), w.storage_offset()).fill_(True)
    seen = marks.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())
    return "all" if bool(seen.all()) else "some" if bool(seen.any()) else "none"
