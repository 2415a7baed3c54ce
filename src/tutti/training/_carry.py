"""Which executors can carry a network: tried on one batch, against the plain module, before anything is chosen."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tutti.core import Finding, InputError, Setting
from tutti.training._executors import Group, make_groups, stacks
from tutti.training._plan import ExecutorName
from tutti.training._program import Program

TOLERANCE = 1e-2  # of the largest gradient, in float32: wrong maths is off by far more, rounding by far less
_SAYS = (
    ("calling .item()", "its forward reads a number back or decides by one (.item(), float(), if x > 0)"),
    ("data-dependent control flow", "its forward decides by the values that it sees (if x > 0)"),
    ("random operation", "it draws random numbers of its own"),
    ("in-place", "it changes a tensor in place that all members share"),
    ("not implemented", "it uses an operation that torch.func.vmap does not know"),
)


@dataclass(frozen=True, kw_only=True)
class Carried:
    """What can train a network.

    executor: the fastest form that gives the gradients of the plain module. draws: it takes random numbers from
    torch's own generator, which the engine then seeds for each member and step. notice: why members run one
    after another, where they do.
    """

    executor: ExecutorName
    draws: bool = False
    notice: Finding | None = None


def carry(program: Program, wanted: ExecutorName | None = None) -> Carried:
    """Tries the stacked form, or else vmap, on the first batch of two settings, against the loop.

    Loss, gradient and running buffers have to agree to TOLERANCE of their largest number; what does not, or
    raises, is looped, with one notice that says why. wanted: the form to try in place of the fastest.
    InputError: a forward that writes into a frozen parameter.
    """
    alone = _attempt(program, "looped", watched=True)
    again = _attempt(program, "looped")
    if not all(torch.equal(a, b) for a, b in zip(alone, again, strict=True)):
        return Carried(executor="looped", draws=True, notice=_notice("it draws random numbers of its own"))
    if wanted == "looped":
        return Carried(executor="looped")
    own = stacks(program.template)
    if wanted == "stacked" and not own:
        raise InputError("Not every layer of this network has a stacked form of its own.", fix="Use 'vmapped'.")
    own = own and wanted != "vmapped"
    executor: ExecutorName = "stacked" if own else "vmapped"
    try:
        together = _attempt(program, executor)
    except (RuntimeError, TypeError, ValueError, NotImplementedError, IndexError) as error:
        if own:
            raise InputError(
                f"The network says that it treats a member axis itself (stacked = True), but fails with one: {error}",
                fix="Remove `stacked = True` from its class, or mend its stacked form.",
            ) from error
        return Carried(executor="looped", notice=_notice(_in_words(error)))
    if not all(_agree(a, b) for a, b in zip(together, alone, strict=True)):
        if own:
            raise InputError(
                "The stacked form of the network gives other gradients than the plain one.",
                fix="Remove `stacked = True` from its class, or see what `tutti check` says of it.",
            )
        reason = "torch.func.vmap gives other results for it than the plain module (state that forward rebinds?)"
        return Carried(executor="looped", notice=_notice(reason))
    return Carried(executor=executor)


def _attempt(program: Program, executor: ExecutorName, *, watched: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Losses, gradients and running buffers of one batch, two settings on every stream.

    watched: frozen parameters have to be the same afterwards (of looped members).
    """
    built = {name: value.clone() for name, value in program.frozen.items()} if watched else {}
    settings: Sequence[Setting] = (Setting(), Setting())
    weights = program.initial.repeat(2, 1)
    running, counters = program.running.repeat(2, 1), program.counters.repeat(2, 1)
    gradient = torch.zeros_like(weights)
    groups: list[Group] = make_groups(program, settings, executor, len(weights))
    begin = 0
    for group in groups:
        mine = slice(begin, begin + group.members)
        group.bind(weights[mine], gradient[mine], running[mine], counters[mine])
        begin += group.members
    inputs, target, row_weights = next(program.batches(0, 1))
    keys = torch.arange(program.streams, dtype=torch.int32, device=weights.device)
    loss = torch.cat([group.gradient(inputs, target, row_weights, keys) for group in groups])
    for name, value in built.items():
        _check_frozen(name, value, groups)
    return loss, gradient, running


def _check_frozen(name: str, built: Tensor, groups: Sequence[Group]) -> None:
    """Raises InputError where a pass has changed a frozen parameter, [stream or 1, …] as built, in a body."""
    path, _, leaf = name.rpartition(".")
    for group in groups:
        if not torch.equal(getattr(group.body.get_submodule(path), leaf), built[group.streams[0] % len(built)]):
            raise InputError(
                f"The network's forward writes into {name!r}, a frozen parameter (requires_grad is False), of which "
                "all members share one.",
                fix=f"Keep it as a buffer, of which each has its own: self.register_buffer({leaf!r}, …).",
            )


def _agree(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are equal to TOLERANCE of the largest number of either; NaNs agree with NaNs."""
    a, b = torch.nan_to_num(a), torch.nan_to_num(b)
    if not a.numel():
        return True
    largest = torch.maximum(a.abs().max(), b.abs().max())
    return bool((a - b).abs().max() <= TOLERANCE * largest)


def _in_words(error: Exception) -> str:
    text = str(error)
    said = next((words for fragment, words in _SAYS if fragment in text), None)
    first = text.strip().splitlines()[0][:160] if text.strip() else type(error).__name__
    return said or f"torch.func.vmap cannot carry it ({first})"


def _notice(reason: str) -> Finding:
    return Finding(
        kind="looped-members",
        where="network",
        message=f"The members of this network train one after another, because {reason}.",
        severity="notice",
    )
