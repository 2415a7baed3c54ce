"""# catalogue: D9. Data that stays on disk trains to the same bits as data in memory, and resumes inside a pass."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import tutti.nn as tnn
from tutti.core import InputError, Rows
from tutti.data import MappedRows
from tutti.optim import AdamW, Cosine
from tutti.training import Plan, Population, Problem, Program, Stream

from .conftest import SETTINGS, cross_entropy, stacked_net


class Fronted(nn.Module):
    """A network whose front scales its numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.front, self.body = nn.Identity(), stacked_net()


def population(inputs: object, y: np.ndarray, build: object = stacked_net) -> Population:
    part = np.arange(len(y)) % 3
    streams = tuple(
        Stream(seed=7, fold=f, train=np.flatnonzero(part != f), validation=np.flatnonzero(part == f))
        for f in range(3)
    )
    problem = Problem(inputs=(inputs,), target=torch.tensor(y), streams=streams, build=build, loss=cross_entropy)
    plan = Plan(executor="stacked", horizon=60, segment=10, batch_size=32, threads=1)
    return Population(problem, SETTINGS[:2], plan, AdamW(), Cosine())


@pytest.fixture
def stored(digits: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> tuple[torch.Tensor, MappedRows, np.ndarray]:
    x, y = digits
    np.save(tmp_path / "x.npy", x.astype(np.float32))
    return torch.tensor(x, dtype=torch.float32), MappedRows(tmp_path / "x.npy"), y


@pytest.mark.parametrize("build", [stacked_net, Fronted])
def test_rows_on_disk_train_to_the_bits_of_rows_in_memory(
    stored: tuple[torch.Tensor, MappedRows, np.ndarray], build: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tutti.training._program.GATHER_BYTES", 7 * 3 * 32 * 272)  # seven steps a chunk
    memory, disk, y = stored
    assert isinstance(disk, Rows)
    one, other = population(memory, y, build), population(disk, y, build)
    assert torch.equal(one.run(25), other.run(25))
    assert torch.equal(one.weights, other.weights)
    assert torch.equal(one.outputs(1, np.arange(40)), other.outputs(1, np.arange(40)))


def test_a_run_from_disk_resumes_in_the_middle_of_a_pass(
    stored: tuple[torch.Tensor, MappedRows, np.ndarray],
) -> None:
    _, disk, y = stored
    straight, broken = population(disk, y), population(disk, y)
    straight.run(17)
    straight.run(40)
    broken.run(17)
    resumed = population(disk, y)
    resumed.restore(*broken.state())
    resumed.run(40)
    assert torch.equal(resumed.weights, straight.weights)


def test_the_reader_works_on_one_thread_and_leaves_the_others_their_number(
    stored: tuple[torch.Tensor, MappedRows, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two teams of threads on the same cores wait for each other: a step from disk took four times as long."""
    of_reader: list[int] = []
    read, here = MappedRows.read, threading.current_thread()

    def watched(self: MappedRows, rows: np.ndarray) -> torch.Tensor:
        if threading.current_thread() is not here:
            of_reader.append(torch.get_num_threads())
        return read(self, rows)

    monkeypatch.setattr(MappedRows, "read", watched)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        population(stored[1], stored[2]).run(5)
        with ThreadPoolExecutor(1) as later:
            assert later.submit(torch.get_num_threads).result() == 3
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert set(of_reader) == {1}


def test_a_reader_that_fails_ends_the_run_with_its_own_error(digits: tuple[np.ndarray, np.ndarray]) -> None:
    class Failing:
        def __len__(self) -> int:
            return 600

        def read(self, rows: np.ndarray) -> torch.Tensor:
            if len(rows) > 1:
                raise InputError("photo 17.png is corrupt.")
            return torch.zeros(len(rows), 64)

    with pytest.raises(InputError, match=r"photo 17\.png is corrupt"):
        population(Failing(), digits[1]).run(5)


def test_a_file_that_is_no_array_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(b"not an array")
    with pytest.raises(InputError, match="cannot be mapped"):
        MappedRows(tmp_path / "x.npy")
    np.save(tmp_path / "o.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be mapped"):
        MappedRows(tmp_path / "o.npy")


def test_the_front_of_a_stored_input_is_not_evaluated_ahead(
    stored: tuple[torch.Tensor, MappedRows, np.ndarray],
) -> None:
    _, disk, y = stored
    program: Program = population(disk, y, Fronted).program
    assert program.prepared[0] is disk
    assert not any(isinstance(m, tnn.Dropout) for m in program.template.modules())
