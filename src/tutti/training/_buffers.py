"""What each buffer of a network's body is to the engine: fitted, individual, shared or running."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tutti.core import Layout, Setting
from tutti.training._problem import Stream

_INDIVIDUALS = frozenset(f.name for f in fields(Setting) if f.type is float)


@dataclass(frozen=True, kw_only=True)
class Buffers:
    """The buffers of a body, by what they are.

    fitted       preprocessing, fitted on a stream's own training rows: the problem's streams bring the values
    individual   a hyper-parameter of the member, named after a field of Setting
    constant     the same for all members (a class lists its own in `constants`): never given a member axis
    running      any other of floating point: statistics that forward updates in place (batch norm). They are
                 state of the member, laid out flat like its weights: saved, restored, frozen and averaged
    counters     any other of whole numbers, likewise updated in place, saved and restored
    """

    prefix: str
    fitted: tuple[str, ...]
    individual: tuple[str, ...]
    constant: tuple[str, ...]
    running: Layout
    counters: Layout

    @classmethod
    def of(cls, body: nn.Module, prefix: str, fitted: Sequence[str]) -> "Buffers":
        constant = {
            f"{path}.{leaf}".lstrip(".")
            for path, module in body.named_modules()
            for leaf in getattr(type(module), "constants", ())
        }
        found: dict[str, list[str]] = {"fitted": [], "individual": [], "constant": []}
        running, counters = {}, {}
        for name, value in body.named_buffers():
            if prefix + name in fitted:
                found["fitted"].append(name)
            elif _is_individual(name, value):
                found["individual"].append(name)
            elif name in constant:
                found["constant"].append(name)
            elif value.is_floating_point():
                running[name] = value
            else:
                counters[name] = value
        return cls(
            prefix=prefix,
            running=Layout.of_tensors(running),
            counters=Layout.of_tensors(counters),
            **{k: tuple(v) for k, v in found.items()},
        )

    def given(
        self, body: nn.Module, settings: Sequence[Setting], streams: Sequence[int], all_streams: Sequence[Stream]
    ) -> dict[str, Tensor]:
        """Fitted and individual buffers of settings × streams (streams fastest), with a leading member axis."""
        values = {}
        for name in self.fitted:
            stacked = torch.stack([all_streams[f].buffers[self.prefix + name] for f in streams])
            values[name] = stacked.repeat(len(settings), *[1] * (stacked.ndim - 1))
        for name in self.individual:
            like = body.get_buffer(name)
            numbers = [float(getattr(s, name.rsplit(".", 1)[-1])) for s in settings for _ in streams]
            values[name] = torch.tensor(numbers, dtype=like.dtype, device=like.device)
        return values

    def constants(self, body: nn.Module) -> dict[int, Tensor]:
        """The shared tensors by identity: a memo with which copy.deepcopy leaves them alone."""
        return {id(t): t for t in (body.get_buffer(name) for name in self.constant)}

    def flat_running(self, body: nn.Module, like: Tensor) -> Float[Tensor, " numbers"]:
        """The body's running buffers as one row, in the dtype and on the device of its weights."""
        return self.running.flatten(dict(body.named_buffers())).to(like)

    def flat_counters(self, body: nn.Module, like: Tensor) -> Tensor:
        """The body's counters as one row of 64-bit integers."""
        values = {k: v.to(torch.int64) for k, v in body.named_buffers() if k in self.counters.names}
        return self.counters.flatten(values).to(like.device, torch.int64)


def _is_individual(name: str, value: Tensor) -> bool:
    return name.rsplit(".", 1)[-1] in _INDIVIDUALS and value.ndim == 0


def asked_for(module: nn.Module) -> set[str]:
    """The hyper-parameters, fields of Setting, that the layers of a module ask for."""
    return {name.rsplit(".", 1)[-1] for name, value in module.named_buffers() if _is_individual(name, value)}


def aliases(module: nn.Module) -> dict[str, str]:
    """Parameters that a module holds under a second name (tied weights): the other name → the first."""
    first = {id(p): name for name, p in module.named_parameters()}
    every = module.named_parameters(remove_duplicate=False)
    return {name: first[id(p)] for name, p in every if first[id(p)] != name}
