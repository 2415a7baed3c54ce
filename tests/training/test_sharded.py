"""A member whose batches and state are divided over processes is the undivided member, to rounding."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import tutti.nn as tnn
from tutti.core import ALIGNMENT, InputError, Layout
from tutti.optim import RULES, SGD, Adam, AdamW, Lion, Muon
from tutti.training import FullySharded, Population, Ranks, Sharded
from tutti.training._blocks import blocks
from tutti.training._buffers import aliases
from tutti.training._sharded import elementwise

from .sharded_worker import CASES, Case, arguments, deep, wide
from .test_spread import torchrun

THREE = ("alone", "several")
TRAINED = tuple(name for name in CASES if name != "reading")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    return {count: tmp_path_factory.mktemp(f"sharded{count}") for count in (2, 3)}


@pytest.fixture(scope="module")
def trained(folders: dict[int, Path]) -> dict[int, Path]:
    torchrun(folders[2], "weigh", *CASES, worker="sharded_worker.py")
    torchrun(folders[3], *THREE, worker="sharded_worker.py", processes=3)
    return folders


def undivided(case: Case, start: dict[str, Any] | None = None) -> dict[str, Tensor]:
    """What the worker saves, of a population in this process; from a saved state on where there is one."""
    population = Population(*arguments(case))
    found = {}
    if start is None:
        found["loss0"] = population.run(6)
    else:
        population.restore(start["tensors"], start["plain"])
    population.keep(case.kept)
    found["loss1"] = population.run(12)
    for i in range(len(case.kept)):
        found |= {f"rows{i}": population.member_rows(i), f"last{i}": population.member_rows(i, averaged=False)}
    found["outputs"] = population.outputs(0, population.program.problem.streams[0].validation)
    return found | {"diverged": population.diverged()}


@pytest.mark.parametrize(("name", "processes"), [*((n, 2) for n in TRAINED), *((n, 3) for n in THREE)])
def test_a_sharded_member_is_the_undivided_one(trained: dict[int, Path], name: str, processes: int) -> None:
    """Losses, weights, averages, outputs, deaths, after a save and a drop in the middle; the same bits on all."""
    case = CASES[name]
    alone = undivided(case)
    assert bool(alone["diverged"].any()) == name.startswith("several")
    parts = [torch.load(trained[processes] / f"{name}{r}.pt", weights_only=True) for r in range(processes)]
    for theirs in parts:
        for key, value in alone.items():
            torch.testing.assert_close(theirs["found"][key], value, rtol=1e-10, atol=1e-10, equal_nan=True)
        for key in ("rows0", "last0", "outputs"):
            assert_same(theirs["found"][key], parts[0]["found"][key])
        for i in range(len(case.kept)):
            assert_same(theirs["found"][f"resumed{i}"], theirs["found"][f"rows{i}"])


def assert_same(a: Tensor, b: Tensor) -> None:
    """Every bit, but for those of a NaN."""
    torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)


def test_a_sharded_checkpoint_goes_on_undivided(trained: dict[int, Path]) -> None:
    """The state that two processes saved, taken up by one."""
    for name in ("alone", "several", "blocks", "several of blocks"):
        theirs = torch.load(trained[2] / f"{name}0.pt", weights_only=True)
        mine = undivided(CASES[name], theirs)
        for key, value in mine.items():
            torch.testing.assert_close(theirs["found"][key], value, rtol=1e-10, atol=1e-10, equal_nan=True)


def test_elementwise_rules_keep_a_share_of_their_state(trained: dict[int, Path]) -> None:
    whole = Population(*arguments(CASES["alone"]))
    held = sum(v.numel() for v in whole._descent.save()[0].values())
    for processes in (2, 3):
        parts = [torch.load(trained[processes] / f"alone{r}.pt", weights_only=True) for r in range(processes)]
        assert all(p["divided"] for p in parts)
        assert sum(p["held"] for p in parts) == held
    assert not torch.load(trained[2] / "shapes0.pt", weights_only=True)["divided"]
    assert not torch.load(trained[2] / "second gradient0.pt", weights_only=True)["divided"]


def test_an_undivided_checkpoint_goes_on_fully_sharded(trained: dict[int, Path]) -> None:
    for rank in range(2):
        found = torch.load(trained[2] / f"blocks{rank}.pt", weights_only=True)["found"]
        torch.testing.assert_close(found["taken"], found["rows0"], rtol=1e-10, atol=1e-10)


def test_a_process_keeps_its_slice_of_all_that_is_as_large_as_the_weights(trained: dict[int, Path]) -> None:
    """Bytes of rows, and of every tensor that is alive between two steps; of the blocks one is gathered at a time."""
    whole = 8 * sum(p.numel() for p in wide().parameters())
    for rank in range(2):
        theirs = torch.load(trained[2] / f"weigh{rank}.pt", weights_only=True)
        own = theirs["own"]
        for name in ("weights", "gradient", "average"):
            assert whole / 2 <= own[name] <= whole / 2 + 8 * 2 * ALIGNMENT
        assert whole <= own["state"] <= whole + 8 * 4 * ALIGNMENT  # Adam's two averages
        rows = sum(own.values()) + own["weights"] + own["average"] + own["state"]  # the start of the segment
        assert theirs["alive"] < 1.05 * rows < 5 * whole
        assert theirs["gathered"] == [1] * len(theirs["gathered"])
        assert len(theirs["gathered"]) == 3 * 4


def test_blocks_are_elements_of_containers_that_share_no_weights() -> None:
    network = deep()
    assert blocks(network, aliases(network)) == list(network.blocks)
    network.blocks[1].mlp[0].weight = network.blocks[2].mlp[0].weight
    assert blocks(network, aliases(network)) == [network.blocks[0]]
    assert blocks(network, {}, least=10**6) == []


def test_weights_read_from_outside_a_block_are_told(trained: dict[int, Path]) -> None:
    told = torch.load(trained[2] / "reading0.pt", weights_only=True)
    assert "reads the weights of one of its parts" in told
    assert "across='sharded'" in told


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(1.0))


@pytest.mark.parametrize(
    ("case", "told"),
    [
        (Case(rule=Muon()), "rule 'muon' looks at more than one weight"),
        (Case(build=lambda: nn.Sequential(nn.Linear(64, 10), nn.BatchNorm1d(10))), "takes statistics over the batch"),
        (Case(build=Scaled), "parameter 'factor' is a number without an axis"),
    ],
)
def test_what_cannot_be_fully_sharded_is_refused_by_name(case: Case, told: str) -> None:
    with pytest.raises(InputError, match=told):
        FullySharded(*arguments(case), ranks=Ranks(0, 2))


def test_one_process_has_nothing_to_divide_weights_over() -> None:
    with pytest.raises(InputError, match=r"over several processes; there is one"):
        FullySharded(*arguments(Case()))


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_devices_talk_through_nccl(trained: dict[int, Path]) -> None:
    for name in ("alone", "blocks"):
        assert torch.load(trained[2] / f"{name}0.pt", weights_only=True)["backend"] == "nccl"


@pytest.mark.parametrize(
    "layers",
    [(tnn.Linear(64, 10), tnn.BatchNorm(10)), (tnn.Linear(64, 10), nn.Sigmoid(), tnn.MeanActivity())],
)
def test_batch_statistics_are_refused_by_name(layers: tuple[nn.Module, ...]) -> None:
    case = Case(build=lambda: nn.Sequential(*layers).double())
    with pytest.raises(InputError, match=f"{type(layers[-1]).__name__} takes statistics over the batch"):
        Sharded(*arguments(case), ranks=Ranks(0, 2))


def test_a_batch_smaller_than_the_group_is_refused() -> None:
    with pytest.raises(InputError, match="3 rows are fewer than two for each of 4 processes"):
        Sharded(*arguments(Case(batch_size=3)), ranks=Ranks(0, 4))


def test_rules_are_told_elementwise_by_trying() -> None:
    """Those that say elementwise are: a step of random rows is that of their two halves, every bit."""
    assert all(elementwise(rule) for rule in (SGD(), Adam(), AdamW(), Lion()))
    names = {name for name, cls in RULES.items() if elementwise(cls())}
    assert len(names) > 30
    assert not names & {"muon", "lamb", "lars", "normalised-sgd", "sam", "shampoo", "adafactor", "novograd"}
    assert isinstance(AdamW().bind(Layout((), (), ())), AdamW)
