"""A pass of a group recorded once on a GPU and replayed: launching the kernels of a small network takes longer than
computing them."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tutti.training._executors import Group

WARM = 3  # passes before the recording: libraries choose their kernels and take their memory in the first ones
TRIALS = 2  # batches on which the recording must answer as the pass itself does, before it is trusted
CLOSE = 1e-3  # of the largest number: kernels that add up in any order differ by less


class Recorder(ABC):
    """What records work on a device."""

    @abstractmethod
    def record(self, work: Callable[[], Tensor]) -> tuple[Tensor, Callable[[], object]]:
        """Does the work (several times) and records it: its result, and what does it once more, into the same
        memory, reading what its tensors then hold. RuntimeError where it cannot be recorded."""


class CudaGraphs(Recorder):
    """Records CUDA graphs that share one pool of memory; they are replayed one after another."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, work: Callable[[], Tensor]) -> tuple[Tensor, Callable[[], object]]:
        with torch.cuda.device(self._device):
            side, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(WARM):
                    work()
            torch.cuda.current_stream().wait_stream(side)
            with torch.cuda.graph(graph, pool=self._pool):
                result = work()
        return result, graph.replay


def recorder(device: torch.device) -> Recorder | None:
    """What records passes on this device; None where nothing does."""
    return CudaGraphs(device) if device.type == "cuda" else None


class Recorded:
    """A group whose `gradient` is recorded at its first batch and replayed from then on; its numbers are the same.

    A recording knows tensors, not Python: what a network reads from anywhere else (a counter of its own, the clock)
    stays as it was. So the recording has to answer the next TRIALS batches as the pass itself does; where it does
    not, or where a pass cannot be recorded (it waits for the device, or its memory does not suffice), the group goes
    on as it is. Batches of another shape go through the group as well.
    """

    def __init__(self, group: Group, recorder: Recorder) -> None:
        self._group, self._recorder = group, recorder
        self._held: tuple[Tensor, ...] = ()  # what the recording reads: keys, target, row weights, inputs
        self._loss: Tensor | None = None
        self._replay: Callable[[], object] | None = None
        self._untried, self._refused = TRIALS, False

    @property
    def members(self) -> int:
        return self._group.members

    def gradient(
        self,
        inputs: tuple[Tensor, ...],
        target: Tensor,
        weights: Tensor | None,
        keys: Int[Tensor, " stream"],
        micro: int = 1,
        first_row: int = 0,
    ) -> Float[Tensor, " member"]:
        """See `Group.gradient`."""
        given = (keys, target, *(() if weights is None else (weights,)), *inputs)
        alike = not self._held or [x.shape for x in given] == [x.shape for x in self._held]
        if self._refused or micro > 1 or first_row > 0 or not alike:
            return self._group.gradient(inputs, target, weights, keys, micro, first_row)
        if self._untried:
            before = self._written()
            loss = self._group.gradient(inputs, target, weights, keys)
            self._try(given, weights is not None, before, [loss.clone(), *self._written()])
            return loss
        return self._again(given).clone()

    def _again(self, given: tuple[Tensor, ...]) -> Tensor:
        """The recording on another batch."""
        assert self._replay is not None
        assert self._loss is not None
        torch._foreach_copy_(list(self._held), list(given))
        self._replay()
        return self._loss

    def _try(self, given: tuple[Tensor, ...], weighted: bool, before: list[Tensor], expected: list[Tensor]) -> None:
        """Records the pass, or compares its recording; in the end everything is as the pass itself has left it."""
        if self._replay is None:
            self._held = tuple(x.clone() for x in given)
            keys, target, *inputs = self._held
            mine = inputs.pop(0) if weighted else None
            self._refused = True
            with suppress(RuntimeError):
                self._loss, self._replay = self._recorder.record(
                    lambda: self._group.gradient(tuple(inputs), target, mine, keys)
                )
                self._refused = False
        else:
            self._write(before)
            found = [self._again(given), *self._written()]
            self._refused = not all(map(_alike, found, expected))
            self._untried -= 1
        if self._refused:
            self._replay, self._loss, self._held = None, None, ()
        self._write(expected[1:])

    def _written(self) -> list[Tensor]:
        """Copies of all that a pass writes."""
        return [x.clone() for x in self._group.written]

    def _write(self, values: list[Tensor]) -> None:
        for mine, value in zip(self._group.written, values, strict=True):
            mine.copy_(value)


def _alike(found: Tensor, expected: Tensor) -> bool:
    scale = float(expected.abs().nan_to_num().max()) if expected.numel() else 0.0
    return torch.allclose(found, expected, rtol=0.0, atol=CLOSE * scale, equal_nan=True)
