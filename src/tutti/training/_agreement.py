"""Whether the processes of one population were given the same: asked before they begin, and wait for each other."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from tutti.core import InputError, Setting
from tutti.optim import Rule, Schedule
from tutti.training._plan import Plan
from tutti.training._program import Program
from tutti.training._ranks import Ranks


def check_agreement(
    ranks: Ranks,
    program: Program,
    settings: Sequence[Setting],
    plan: Plan,
    rule: Rule | Mapping[str, Rule],
    schedule: Schedule,
) -> None:
    """Raises InputError on every process where settings, plan, rules, schedule, target, rows or initial weights of
    one are not those of the first. Only their fingerprints travel."""
    if ranks.count == 1:
        return
    rules = {"": rule} if isinstance(rule, Rule) else rule
    streams = program.problem.streams
    own = {
        "settings": _mark(repr(settings).encode()),
        "plan": _mark(repr(plan).encode()),
        "optimizer": _mark(repr(sorted(rules.items())).encode()),
        "schedule": _mark(repr(schedule).encode()),
        "rows and folds": _mark(
            *(np.ascontiguousarray(x).tobytes() for s in streams for x in (s.train, s.validation))
        ),
        "target": _mark(_bytes(program.problem.target)),
        "network": _mark(repr(program.layout).encode(), *map(_bytes, (program.initial, *program.frozen.values()))),
    }
    given: list[dict[str, Any]] = [plain for _, plain in ranks.gather_state({}, own)]
    for rank, theirs in enumerate(given):
        differ = [name for name in own if theirs[name] != given[0][name]]
        if differ:
            raise InputError(
                f"The processes of this run disagree: process {rank} has another {' and another '.join(differ)} "
                "than process 0.",
                fix="Start all of them with the same command, on the same data and the same version.",
            )


def _mark(*parts: bytes) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()


def _bytes(x: Tensor) -> bytes:
    raw: bytes = np.ascontiguousarray(x.detach().cpu().numpy()).tobytes()
    return raw
