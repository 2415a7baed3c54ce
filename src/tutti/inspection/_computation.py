"""The computation graph of a model on a batch: every operation with its forward value and its backward gradient."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tutti.core import InputError, unknown
from tutti.inspection._recorder import NodeKind, Recorder
from tutti.inspection._untouched import untouched


@dataclass(frozen=True, kw_only=True)
class Node:
    """One tensor of a computation.

    name: an input's or parameter's name, or the operation that made it ("linear", "relu"). layer: the module under
    way, as in named_modules ("" for the network itself). value, gradient: the number itself where the tensor is a
    single number, else its Euclidean norm; gradient is ∂loss/∂tensor, None where the loss does not depend on it.
    sources: places of the nodes that it was computed from.
    """

    name: str
    kind: NodeKind
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
        found = next((n for n in self.nodes if n.name == name), None)
        if found is None:
            raise unknown("node", name, sorted({n.name for n in self.nodes}))
        return found


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
    a layer of torch's own kernels is one node. What writes into a tensor (relu_, +=, h[:, 0] = …) is a node of its
    own beside the one whose values it replaces, each with the values and the gradient of its moment. Gradients by
    the network's inputs are kept too. Weights, their `.grad`, buffers and modes of the network are left as they were.

    InputError: the loss depends on nothing known; a tensor is changed in place by what torch does not show; more
    than MOST operations.
    """
    parameters = dict(network.named_parameters())
    before = {name: p.grad for name, p in parameters.items()}
    # Clones of leaves: a network may write into its input.
    given = [x.detach().clone().requires_grad_(x.is_floating_point()).clone() for x in inputs]
    recorder = Recorder()
    for i, x in enumerate(given):
        recorder.add(f"input {i}" if len(given) > 1 else "input", x, kind="input")
    for name, parameter in parameters.items():
        recorder.add(name, parameter, kind="parameter")
    if target.is_floating_point():
        recorder.add("target", target, kind="constant")
    try:
        with untouched(network), torch.enable_grad():
            with _layers(network, recorder.layer), recorder:
                total = loss(network(*given), target).mean()
            last = recorder.place(total)
            if last is None:
                raise InputError("The loss does not depend on the network's inputs or weights.")
            for parameter in parameters.values():
                parameter.grad = None
            if total.requires_grad:
                total.backward()
    finally:
        recorder.release()
        for name, parameter in parameters.items():
            parameter.grad = before[name]
    return ComputationGraph(nodes=_reaching(recorder, last))


def _reaching(recorder: Recorder, last: int) -> tuple[Node, ...]:
    """The nodes from which the loss was computed, numbered anew; the loss comes last."""
    wanted, waiting = set(), [last]
    while waiting:
        place = waiting.pop()
        if place not in wanted:
            wanted.add(place)
            waiting += recorder.made[place].sources
    places = {old: new for new, old in enumerate(sorted(wanted))}
    return tuple(
        Node(
            name=made.name,
            kind=made.kind,
            layer=made.layer,
            shape=made.shape,
            value=made.value,
            gradient=recorder.gradients.get(old),
            sources=tuple(places[s] for s in made.sources),
        )
        for old, made in ((old, recorder.made[old]) for old in sorted(wanted))
    )
