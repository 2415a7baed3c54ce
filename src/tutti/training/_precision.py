"""What products are computed in: bfloat16 where the hardware has it and the gradient does not feel it."""

import time
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from tutti.core import Finding, InputError, Setting
from tutti.training._executors import Group, make_groups
from tutti.training._plan import ExecutorName, Precision
from tutti.training._program import Program

WantedPrecision = Literal["float32", "bfloat16", "auto"]
NOISE = 0.1  # of the spread between batches: rounding then adds a hundredth of the batches' variance at most
BATCHES = 4  # whose gradients are compared
REPEATS = 3  # of a timing; the fastest counts


@dataclass(frozen=True, kw_only=True)
class Lowered:
    """What the products of the training passes are computed in, and what the user should know of it.

    error: ‖g₁₆ − g₃₂‖ of the first batch; spread: of the gradients of BATCHES batches about their mean, the square
    root of their variance. Both are of the stream with the largest error over spread, at the initial weights.
    """

    precision: Precision
    error: float = 0.0
    spread: float = 0.0
    notice: Finding | None = None


def choose_precision(
    program: Program,
    executor: ExecutorName,
    wanted: WantedPrecision = "auto",
    *,
    draws: bool = False,
    timed: bool = True,
) -> Lowered:
    """What "float32", "bfloat16" or "auto" comes to for a network.

    "auto" takes bfloat16 where the hardware multiplies it (a CUDA card that says so; a processor with AMX or
    AVX512-BF16), where it changes the gradient of the first batch by no more than NOISE of the spread between
    batches, and where, on a processor, a pass is faster (timed=False: never there). "bfloat16" is taken at its word,
    with a warning where it changes more than that; a network that cannot be computed so is an InputError.
    """
    device = program.initial.device
    tried = has_bfloat16(device) and (timed or device.type != "cpu")
    if wanted == "float32" or (wanted == "auto" and not tried):
        return Lowered(precision="float32")
    exact = _Pass(program, executor, "float32", draws)
    rounded = _Pass(program, executor, "bfloat16", draws)
    try:
        error, spread = _compare(exact, rounded)
    except (RuntimeError, TypeError, ValueError) as failure:
        if wanted == "auto":
            return Lowered(precision="float32")
        raise InputError(
            f"This network cannot be computed in bfloat16: {str(failure).strip().splitlines()[0][:160]}",
            fix='Leave precision at "float32".',
        ) from failure
    felt = not error <= NOISE * spread
    if wanted == "auto" and not felt and device.type == "cpu" and rounded.seconds() >= exact.seconds():
        return Lowered(precision="float32", error=error, spread=spread)
    taken: Precision = "float32" if felt and wanted == "auto" else "bfloat16"
    notice = _notice(error, spread, taken) if felt else None
    return Lowered(precision=taken, error=error, spread=spread, notice=notice)


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 numbers itself."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    asked = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(ask is not None and ask() for ask in asked)


class _Pass:
    """Forward and backward passes of one setting on all streams, at the initial weights."""

    def __init__(self, program: Program, executor: ExecutorName, precision: Precision, draws: bool) -> None:
        self.program, self.precision = program, precision
        self.gradient = torch.zeros_like(program.initial)
        streams = len(program.initial)
        self.groups: list[Group] = make_groups(program, [Setting()], executor, streams, draws, precision)
        running, counters = program.running.clone(), program.counters.clone()
        begin = 0
        for group in self.groups:
            mine = slice(begin, begin + group.members)
            group.bind(program.initial[mine], self.gradient[mine], running[mine], counters[mine])
            begin += group.members

    def gradients(self, steps: int) -> Float[Tensor, "step stream weights"]:
        """The gradients of the first batches."""
        found = []
        for inputs, target, weights in self.program.batches(0, steps):
            keys = torch.arange(len(self.gradient), dtype=torch.int32, device=self.gradient.device)
            for group in self.groups:
                group.gradient(inputs, target, weights, keys)
            found.append(self.gradient.clone())
        return torch.stack(found)

    def seconds(self) -> float:
        """Of the fastest of a few passes."""
        times = []
        for _ in range(REPEATS):
            began = time.perf_counter()
            self.gradients(1)
            times.append(time.perf_counter() - began)
        return min(times)


def _compare(exact: _Pass, rounded: _Pass) -> tuple[float, float]:
    """(error, spread) of `Lowered`."""
    gradients = exact.gradients(BATCHES)
    error = (rounded.gradients(1)[0] - gradients[0]).norm(dim=-1)
    spread = gradients.var(dim=0).sum(-1).sqrt()
    worst = int((error - NOISE * spread).nan_to_num(nan=torch.inf).argmax())
    return float(error[worst]), float(spread[worst])


def _notice(error: float, spread: float, taken: Precision) -> Finding:
    did = "products stay in float32" if taken == "float32" else "it is used all the same, as you asked"
    return Finding(
        kind="coarse-precision",
        where="network",
        message=f"bfloat16 changes the first gradient by {error:.2g}, where batches differ by {spread:.2g}; {did}.",
        severity="notice" if taken == "float32" else "warning",
    )
