"""The processes that train one population together: torch.distributed, started by torchrun."""

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float, Shaped, UInt8
from safetensors.torch import load, save
from torch import Tensor

from tutti.core import InputError

LETTING_GO = 0.1  # seconds
TIMEOUT = timedelta(days=1)  # the others wait while the first fits baselines or writes a report


class Ranks:
    """This process among those that work together; `Ranks()` is one on its own.

    Everything that is exchanged is tensors or JSON: nothing is pickled.
    """

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        self.rank, self.count = rank, count

    @property
    def first(self) -> bool:
        """Whether this is the process that reads the clock, writes files and speaks to the user."""
        return self.rank == 0

    def agree(self, value: Any) -> Any:
        """The first process's value (plain JSON values), on all."""
        return value if self.count == 1 else json.loads(self._bytes(json.dumps(value).encode())[0])

    def any(self, value: bool) -> bool:
        """Whether the value is true on any process."""
        return value if self.count == 1 else any(json.loads(b) for b in self._bytes(json.dumps(value).encode()))

    def gather_rows(
        self, rows: Shaped[Tensor, " own *item"], counts: Sequence[int]
    ) -> list[Shaped[Tensor, " *shape"]]:
        """Every process's rows, on all. counts: how many each of them has; the shapes of the items agree."""
        if self.count == 1:
            return [rows]
        wire = rows.to(torch.uint8) if rows.dtype == torch.bool else rows
        padded = wire.new_zeros(max(counts), *wire.shape[1:])
        padded[: len(wire)] = wire
        found = [torch.empty_like(padded) for _ in range(self.count)]
        dist.all_gather(found, padded)
        return [part[:n].to(rows.dtype) for part, n in zip(found, counts, strict=True)]

    def add(self, numbers: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The sum over all processes, in place; the same bits on all."""
        if self.count > 1:
            dist.all_reduce(numbers)
        return numbers

    def add_columns(self, rows: Float[Tensor, "member weights"], columns: Sequence[slice]) -> None:
        """Adds up every process's rows, in place: each gets the sum of its own slice of the columns.

        columns: the slice of each process, together all; the first is the longest. What stands in the others is lost.
        """
        if self.count > 1:
            pieces = _pieces(rows, columns)
            own = torch.empty_like(pieces[0])
            dist.reduce_scatter(own, pieces)
            mine = rows[:, columns[self.rank]]
            mine.copy_(own[:, : mine.shape[1]])

    def gather_columns(
        self,
        own: Float[Tensor, "member some"],
        columns: Sequence[slice],
        out: Float[Tensor, "member weights"] | None = None,
    ) -> Float[Tensor, "member weights"]:
        """Every process's slice of the columns, put together, on all; into `out` where it is given."""
        if self.count == 1:
            return own
        out = own.new_empty(len(own), columns[-1].stop) if out is None else out
        pieces = _pieces(out, columns)
        padded = own.new_zeros(pieces[0].shape)
        padded[:, : own.shape[1]] = own
        dist.all_gather(pieces, padded)
        for piece, where in zip(pieces, columns, strict=True):
            if piece.data_ptr() != out[:, where].data_ptr():
                out[:, where] = piece[:, : where.stop - where.start]
        return out

    def gather_state(self, tensors: dict[str, Tensor], plain: Any) -> list[tuple[dict[str, Tensor], Any]]:
        """Every process's named tensors and plain values, on all."""
        own = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
        wire = save({**own, "plain": torch.frombuffer(bytearray(json.dumps(plain).encode()), dtype=torch.uint8)})
        parts = []
        for received in self._bytes(wire):
            found = load(received)
            parts.append((found, json.loads(found.pop("plain").numpy().tobytes())))
        return parts

    def _bytes(self, own: bytes) -> list[bytes]:
        """Every process's bytes, on all."""
        data: UInt8[Tensor, " bytes"] = torch.frombuffer(bytearray(own), dtype=torch.uint8).to(_wire())
        if self.count == 1:
            return [own]
        sizes = [torch.zeros(1, dtype=torch.int64, device=data.device) for _ in range(self.count)]
        dist.all_gather(sizes, torch.tensor([len(own)], dtype=torch.int64, device=data.device))
        counts = [int(size) for size in sizes]
        return [part.cpu().numpy().tobytes() for part in self.gather_rows(data, counts)]


def _pieces(rows: Float[Tensor, "member weights"], columns: Sequence[slice]) -> list[Tensor]:
    """Slices of the columns, contiguous and of one length: views where they are that already, else padded copies."""
    longest = columns[0].stop
    found = []
    for where in columns:
        piece = rows[:, where]
        if piece.shape[1] < longest:
            piece = torch.nn.functional.pad(piece, (0, longest - piece.shape[1]))
        found.append(piece.contiguous())
    return found


def _wire() -> torch.device:
    """Where tensors must lie to be sent: NCCL sends from a GPU."""
    return torch.device("cuda") if dist.is_initialized() and dist.get_backend() == "nccl" else torch.device("cpu")


def current_ranks() -> Ranks:
    """This process's place in the process group, where one has been joined."""
    if dist.is_available() and dist.is_initialized():
        return Ranks(dist.get_rank(), dist.get_world_size())
    return Ranks()


@contextmanager
def join_ranks() -> Iterator[Ranks]:
    """Joins the processes that torchrun has started, for as long as the context is open; else this one is alone.

    NCCL where every process has a GPU of its own, else gloo. A group that the caller has joined already is used.
    """
    if current_ranks().count > 1 or int(os.environ.get("WORLD_SIZE", "1")) == 1 or not dist.is_available():
        yield current_ranks()
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    own_gpu = torch.cuda.is_available() and torch.cuda.device_count() >= int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if own_gpu:
        torch.cuda.set_device(local)
    try:
        dist.init_process_group("nccl" if own_gpu else "gloo", timeout=TIMEOUT)
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"The processes of this run cannot find each other: {error}",
            fix="Start them together: torchrun --nproc-per-node 2 -m tutti fit …",
        ) from error
    try:
        yield current_ranks()
    finally:
        dist.destroy_process_group()
        if "torch.distributed.tensor" in sys.modules:
            # It keeps the group, and with it gloo's threads: one of them that lets go of the last tensor sent while
            # the interpreter is ending would abort the process.
            time.sleep(LETTING_GO)
