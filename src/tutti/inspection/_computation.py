"""The computation graph of a model on a batch: every operation with its forward value and its backward gradient."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name

from tutti.core import InputError

MOST = 20_000  # nodes; beyond that a picture is no help


@dataclass(frozen=True, kw_only=True)
class Node:
    """One tensor of a computation.

    name: an input's or parameter's name, or the operation that made it ("linear", "relu"). layer: the module under
    way, as in named_modules ("" for the network itself). value, gradient: the number itself where the tensor is a
    single number, else its Euclidean norm; gradient is ∂loss/∂tensor, None where the loss does not depend on it.
    sources: places of the nodes that it was computed from.
    """

    name: str
    kind: Literal["input", "parameter", "constant", "operation"]
    layer: str
    shape: tuple[int, ...]
    value: float
    gradient: float | None
    sources: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class ComputationGraph:
    """Nodes in the order in which they were computed, so that sources come first; the last one is the loss."""

    nodes: tuple[Node, ...]

    def to_json(self) -> dict[str, Any]:
        return {"nodes": [asdict(node) for node in self.nodes]}

    @property
    def loss(self) -> Node:
        return self.nodes[-1]

    def node(self, name: str) -> Node:
        """The node of this name (the first of several)."""
        from tutti.core import unknown

        found = next((n for n in self.nodes if n.name == name), None)
        if found is None:
            raise unknown("node", name, sorted({n.name for n in self.nodes}))
        return found


class _Recorder(TorchFunctionMode):
    """Notes every call of a torch function that makes a tensor of floating point from others."""

    def __init__(self, known: dict[int, int], made: list[tuple[str, str, Tensor, tuple[int, ...]]]) -> None:
        super().__init__()
        self.known, self.made = known, made
        self.layer: list[str] = [""]
        self.kept: list[Tensor] = []  # so that no id is used twice

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        for tensor in _tensors(result):
            if tensor.is_floating_point():
                self._note(_called(func), tensor, [*_tensors(args), *_tensors((kwargs or {}).values())])
        return result

    def _note(self, name: str, tensor: Tensor, given: Sequence[Tensor]) -> None:
        if id(tensor) in self.known or name.startswith("__get") or len(self.made) >= MOST:
            return
        sources = tuple(dict.fromkeys(self.known[id(t)] for t in given if id(t) in self.known))
        if not sources:
            return  # made from nothing that is known: a constant
        if tensor.requires_grad and not tensor.is_leaf:
            tensor.retain_grad()
        self.kept.append(tensor)
        self.known[id(tensor)] = len(self.made)
        self.made.append((name, self.layer[-1], tensor, sources))


def _tensors(values: Any) -> list[Tensor]:
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, dict):
        values = values.values()
    return [t for v in values for t in _tensors(v)] if isinstance(values, (list, tuple, type({}.values()))) else []


def _called(func: Any) -> str:
    name: str = resolve_name(func) or getattr(func, "__name__", "operation")
    short = name.rsplit(".", 1)[-1]
    return short.strip("_") if short.startswith("__") else short


@contextmanager
def _layers(network: nn.Module, stack: list[str]) -> Iterator[None]:
    """While open, `stack` ends with the name of the module whose forward is under way."""
    hooks = []
    for name, module in network.named_modules():
        hooks.append(module.register_forward_pre_hook(lambda *_, name=name: stack.append(name)))
        hooks.append(module.register_forward_hook(lambda *_: _drop_last(stack)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _drop_last(stack: list[str]) -> None:
    stack.pop()


def computation_graph(network: nn.Module, loss: Any, inputs: Sequence[Tensor], target: Tensor) -> ComputationGraph:
    """Runs the network and the mean of `loss(output, target)` forward and backward, and keeps what every step gave.

    The graph is the one that back-propagation walks: each call of a torch function is a node (linear, relu, +), so
    a layer of torch's own kernels is one node. Gradients by the network's inputs are kept too. Weights, their
    `.grad` and the mode of the network are left as they were.
    """
    parameters = dict(network.named_parameters())
    before = {name: p.grad for name, p in parameters.items()}
    leaves = [x.detach().clone().requires_grad_() if x.is_floating_point() else x for x in inputs]
    made: list[tuple[str, str, Tensor, tuple[int, ...]]] = []
    named = [(f"input {i}" if len(leaves) > 1 else "input", x) for i, x in enumerate(leaves)]
    named += list(parameters.items())
    if target.is_floating_point():
        named.append(("target", target))
    known = {id(tensor): place for place, (_, tensor) in enumerate(named)}
    made += [(name, "", tensor, ()) for name, tensor in named]
    recorder = _Recorder(known, made)
    try:
        with _layers(network, recorder.layer), recorder, torch.enable_grad():
            total = loss(network(*leaves), target).mean()
        if id(total) not in known:
            raise InputError("The loss does not depend on the network's inputs or weights.")
        for parameter in parameters.values():
            parameter.grad = None
        if total.requires_grad:
            total.backward()
        nodes = tuple(_node(*entry, inputs=len(leaves), place=i, named=len(named)) for i, entry in enumerate(made))
    finally:
        for name, parameter in parameters.items():
            parameter.grad = before[name]
    return ComputationGraph(nodes=_reaching(nodes, known[id(total)]))


def _node(
    name: str, layer: str, tensor: Tensor, sources: tuple[int, ...], *, inputs: int, place: int, named: int
) -> Node:
    kind: Any = "operation" if place >= named else "input" if place < inputs else "parameter"
    kind = "constant" if name == "target" and place < named else kind
    follows = tensor.requires_grad and (tensor.is_leaf or tensor.retains_grad)
    gradient = tensor.grad if follows else None
    return Node(
        name=name,
        kind=kind,
        layer=layer,
        shape=tuple(tensor.shape),
        value=_number(tensor),
        gradient=None if gradient is None else _number(gradient),
        sources=sources,
    )


def _number(tensor: Tensor) -> float:
    values = tensor.detach().double()
    return float(values) if values.numel() == 1 else float(torch.linalg.vector_norm(values))


def _reaching(nodes: tuple[Node, ...], last: int) -> tuple[Node, ...]:
    """The nodes from which the loss was computed, renumbered; the loss comes last."""
    wanted, waiting = set(), [last]
    while waiting:
        place = waiting.pop()
        if place not in wanted:
            wanted.add(place)
            waiting += nodes[place].sources
    places = {old: new for new, old in enumerate(sorted(wanted))}
    kept = []
    for old in sorted(wanted):
        values = {k: getattr(nodes[old], k) for k in ("name", "kind", "layer", "shape", "value", "gradient")}
        kept.append(Node(**values, sources=tuple(places[s] for s in nodes[old].sources)))
    return tuple(kept)
