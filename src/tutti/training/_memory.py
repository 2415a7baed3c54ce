"""How much memory a plan needs, estimated before it is taken, and what gives way where there is too little."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from tutti.core import Finding, InputError, Setting
from tutti.optim import Rule
from tutti.training._executors import Group
from tutti.training._plan import Plan, part_rows
from tutti.training._program import Program

SHARE = 0.8  # of the memory that is free: the rest is the system's, the reader's and the caller's
TEMPORARY = 1.5  # a pass holds about half of what it saves for the backward pass once more, in temporaries
FEW = (2, 4)  # rows of the passes that are measured
COPIES = 6  # of the weights: weights, gradient, average, a temporary, and the start of the segment (weights, average)


@dataclass(frozen=True, kw_only=True)
class Need:
    """Bytes that a population takes: for each member, for each pass that carries it whatever its rows are (a network
    that computes all of a graph), and for each row of a batch in it."""

    member: int
    row: int
    fixed: int = 0

    def of(self, plan: Plan, members: int, streams: int) -> int:
        """Of a whole population: all members' numbers, and the largest pass."""
        rows = part_rows(plan.batch_size, plan.micro)
        together = 1 if plan.executor == "looped" else max(1, plan.stack // streams) * streams
        return members * self.member + min(members, together) * (self.fixed + rows * self.row)


def measure(program: Program, rules: Iterable[Rule]) -> Need:
    """What a member and a row need: from the update rules' states (the largest), and from passes on two and on four
    rows whose saved tensors are counted."""
    size = program.initial.element_size()
    states = [rule.stepper(program.initial[:1].clone(), program.layout, [Setting()]).save()[0] for rule in rules]
    state = max(sum(v.numel() * v.element_size() for v in s.values()) for s in states)
    member = program.layout.count * size * COPIES + 2 * state + 6 * program.running.shape[1] * size
    member += sum(v[0].numel() * v.element_size() for v in program.frozen.values() if len(v) > 1)  # else shared
    group = Group(program, [Setting()], [0], "looped")
    weights = program.initial[:1].clone()
    group.bind(weights, torch.zeros_like(weights), program.running[:1].clone(), program.counters[:1].clone())
    inputs, target, _ = next(program.batches(0, 1))
    key = torch.zeros(program.streams, dtype=torch.int32, device=weights.device)
    known = {w.untyped_storage().data_ptr() for w in (weights, *inputs, *program.frozen.values())}

    def saved_by(rows: int) -> float:
        with saved_bytes(known) as saved:
            group.gradient(tuple(x[:, :rows] for x in inputs), target[:, :rows], None, key)
        return TEMPORARY * sum(saved.values())

    few, more = (min(rows, target.shape[1]) for rows in FEW)
    first = saved_by(few)
    row = first / few if more == few else max(0.0, saved_by(more) - first) / (more - few)
    given = sum(x[0, 0].numel() * x.element_size() for x in inputs)
    return Need(member=member, row=int(row) + given, fixed=int(first - few * row))


@contextmanager
def saved_bytes(known: set[int]) -> Iterator[dict[int, int]]:
    """Collects the storages that autograd saves for the backward pass, by address, but for those already known."""
    found: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield found


def available(device: torch.device) -> int | None:
    """Bytes that can still be taken on a device; None where the system does not say, or swaps of its own accord."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type != "cpu":
        return None
    found = [b for b in (_meminfo(), _cgroup()) if b is not None]
    return min(found, default=None)


def _meminfo() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    kilobytes = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), None)
    return None if kilobytes is None else int(kilobytes) * 1024


def _cgroup() -> int | None:
    """What a container's limit leaves (cgroup 2)."""
    root = Path("/sys/fs/cgroup")
    try:
        limit = (root / "memory.max").read_text(encoding="ascii").strip()
        used = (root / "memory.current").read_text(encoding="ascii").strip()
    except OSError:
        return None
    return None if limit == "max" else max(0, int(limit) - int(used))


def fit_memory(
    plan: Plan, need: Need, members: int, program: Program, free: int | None
) -> tuple[Plan, Finding | None]:
    """The plan, made to fit into SHARE of the free bytes: fewer members in one pass, then members one after another,
    then batches in parts. Says what it did; raises where one row of one member is too much already.

    Batches are not cut where the network takes statistics over the batch: the parts would have others.
    """
    if free is None or need.of(plan, members, program.streams) <= SHARE * free:
        return plan, None
    room = SHARE * free
    for smaller in _smaller(plan, program):
        if need.of(smaller, members, program.streams) <= room:
            return smaller, _told(plan, smaller, need.of(plan, members, program.streams), free)
    least = need.of(next(reversed(list(_smaller(plan, program)))), members, program.streams)
    statistics = batch_statistics(program.template)
    held = (
        f" Its batches cannot be cut into parts: {statistics} takes statistics over the batch." if statistics else ""
    )
    raise InputError(
        f"{members} members of this network need at least {_gigabytes(least)}; {_gigabytes(free)} are free.{held}",
        fix="Train fewer settings or folds at once (--learning-rate, --folds), or a smaller network or batch.",
    )


def _smaller(plan: Plan, program: Program) -> Iterator[Plan]:
    """Plans that need less and less."""
    settings = max(1, plan.stack // program.streams)
    while plan.executor != "looped" and settings > 1:
        settings //= 2
        yield plan.replace(stack=settings * program.streams)
    yield plan.replace(executor="looped")
    micro = plan.micro
    while micro < plan.batch_size and batch_statistics(program.template) is None:
        micro = min(2 * micro, plan.batch_size)
        yield plan.replace(executor="looped", micro=micro)


def shrink(plan: Plan, program: Program) -> Plan | None:
    """The next smaller plan, after a device has run out of memory; None where there is none."""
    return next((p for p in _smaller(plan, program) if p != plan), None)


def batch_statistics(body: nn.Module) -> str | None:
    """The name of a layer that takes statistics over its batch, or None."""
    return next(
        (
            type(module).__name__
            for module in body.modules()
            if isinstance(module, nn.modules.batchnorm._BatchNorm) or getattr(type(module), "batch_statistics", False)
        ),
        None,
    )


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory has run out (CUDA's own class, or the message of the CPU's allocator)."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)


def _told(before: Plan, after: Plan, need: int, free: int) -> Finding:
    parts = []
    if after.executor != before.executor:
        parts.append("members one after another")
    elif after.stack != before.stack:
        parts.append(f"{after.stack} members in one pass instead of {before.stack}")
    if after.micro != before.micro:
        parts.append(f"batches in {after.micro} parts")
    return Finding(
        kind="little-memory",
        where="memory",
        message=f"Training as planned would take about {_gigabytes(need)} of {_gigabytes(free)} that are free: "
        f"{' and '.join(parts)} from here on. The members are the same.",
        severity="notice",
    )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
