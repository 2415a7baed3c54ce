"""Sets are read from tables and arrays; order and padding mean nothing; bad ones are named."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tutti import core, data, models, nn
from tutti.data import Reading, Sets, Table

EVENTS = pd.DataFrame(
    {
        "event_id": ["b", "a", "b", "a", "c", "b"],
        "pt": [1.5, 2.0, None, 4.0, 5.0, 6.0],
        "charge": ["plus", "minus", "plus", "plus", "minus", "minus"],
        "process": ["Z", "W", "Z", "W", "Z", "Z"],
        "run": [7, 8, 7, 8, 9, 7],
    }
)


def _read(source: Any, **options: Any) -> Table:
    reading = Reading(**{"set": "event_id", **options.pop("reading", {})})
    return data.read(source, target=options.pop("target", "process"), reading=reading, **options)


def _sets(table: Table) -> Sets:
    assert isinstance(table.sample, Sets)
    return table.sample


# catalogue: D5
def test_rows_of_one_id_are_one_set(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    EVENTS.to_csv(path, index=False)
    for source in (path, EVENTS, EVENTS.to_dict("list")):
        table = _read(source, group="run")
        sample = _sets(table)
        assert sample.names == ("pt", "pt: missing", "charge: minus", "charge: plus")
        assert sample.counts.tolist() == [3, 2, 1]
        assert table.target is not None
        assert table.target.tolist() == ["Z", "W", "Z"]
        assert table.group is not None
        assert table.group.tolist() == ["7", "8", "9"]
        rows = {tuple(row) for row in sample.items[0].nan_to_num(-1).tolist()}
        assert rows == {(1.5, 0, 0, 1), (-1, 1, 0, 1), (6, 0, 1, 0)}


# catalogue: D5
def test_the_order_of_rows_and_items_leaves_samples_as_they_are_bit_for_bit() -> None:
    first = _sets(_read(EVENTS))
    for seed in range(4):
        table = _read(EVENTS.sample(frac=1, random_state=seed))
        names = table.schema["event_id"]
        assert names.distinct == 3
        moved = _sets(table)
        order = [moved.hashes().tolist().index(h) for h in first.hashes()]
        again = moved.take(np.array(order))
        assert torch.equal(again.items.nan_to_num(-1), first.items.nan_to_num(-1))
        assert torch.equal(again.counts, first.counts)


def test_kinds_drop_and_roles_speak_of_the_columns_of_items() -> None:
    table = _read(EVENTS, drop=["charge"], kinds={"run": "category"})
    assert _sets(table).names == ("pt", "pt: missing", "run: 7", "run: 8", "run: 9")
    assert _sets(_read(EVENTS, target="run")).shape.features == 2 + 2 + 2  # pt, charge, process


def test_new_rows_are_read_as_the_schema_says() -> None:
    table = _read(EVENTS)
    schema = core.Schema.from_json(json.loads(json.dumps(table.schema.to_json())))
    new = pd.DataFrame({"charge": ["plus", "odd"], "pt": [9.0, 8.0], "run": [1, 1], "event_id": ["x", "x"]})
    sample = _sets(data.encode(schema, new))
    assert sample.names == _sets(table).names
    assert {tuple(row) for row in sample.items[0].tolist()} == {(9, 0, 0, 1, 1), (8, 0, 0, 0, 1)}
    labelled = data.encode(schema, EVENTS, target=True)
    assert labelled.target is not None
    assert labelled.target.tolist() == ["Z", "W", "Z"]
    assert np.array_equal(labelled.sample.hashes(), table.sample.hashes())  # type: ignore[union-attr]


def _clouds() -> list[np.ndarray]:
    return [np.arange(6.0).reshape(3, 2), np.full((1, 2), 7.5), np.arange(4.0).reshape(2, 2)]


# catalogue: D5
def test_arrays_lists_and_dicts_of_one_content_are_the_same_sets(tmp_path: Path) -> None:
    clouds, y = _clouds(), np.array(["u", "v", "u"])
    padded, counts = np.full((3, 4, 2), np.nan), np.array([3, 1, 2])
    for row, cloud in zip(padded, clouds, strict=True):
        row[: len(cloud)] = cloud
    filled = np.where(np.isnan(padded), 99, padded)
    np.savez(tmp_path / "sets.npz", x=filled, counts=counts, label=y)
    forms: dict[str, Any] = {
        "list": (clouds, y),
        "tensors": ([torch.tensor(cloud) for cloud in clouds], y),
        "NaN": (padded, y),
        "counts": ((filled, counts), y),
        "dict": {"x": filled, "counts": counts, "label": y},
        "file": tmp_path / "sets.npz",
    }
    expected = _sets(data.read(forms["list"])).hashes()
    for name, source in forms.items():
        table = data.read(source, reading=Reading(data="sets"))
        assert np.array_equal(_sets(table).hashes(), expected), name
        assert table.target is not None
        assert table.target.tolist() == y.tolist(), name
    classes = data.read({"u": [clouds[0], clouds[2]], "v": [clouds[1]]}, reading=Reading(data="sets"))
    assert classes.target is not None
    assert classes.target.tolist() == ["u", "u", "v"]
    assert np.array_equal(_sets(classes).hashes(), expected[[0, 2, 1]])


def test_whole_numbers_up_to_255_are_kept_in_a_byte_and_mean_the_same() -> None:
    clouds = [np.arange(6).reshape(3, 2), np.full((1, 2), 255)]
    small = _sets(data.read((clouds, [0, 1]), reading=Reading(data="sets")))
    assert small.items.dtype == torch.uint8
    large = _sets(data.read(([*clouds, np.full((2, 2), 0.5)], [0, 1, 1]), reading=Reading(data="sets")))
    assert large.items.dtype == torch.float32
    assert np.array_equal(small.hashes(), large.hashes()[:2])
    both = small.joined(large)
    assert np.array_equal(both.hashes(), np.concatenate([small.hashes(), large.hashes()]))


def test_length_keeps_the_same_random_items_whatever_their_order() -> None:
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(50, 2))
    reading = Reading(data="sets", length=20)
    kept = [_sets(data.read(([cloud[rng.permutation(50)]] * 2, [0, 1]), reading=reading)) for _ in range(3)]
    assert kept[0].counts.tolist() == [20, 20]
    assert len({sample.hashes().tobytes() for sample in kept}) == 1
    assert not np.array_equal(np.sort(kept[0].items[0, :, 0]), np.sort(cloud[:20, 0].astype(np.float32)))


def test_statistics_are_those_of_the_training_sets_items() -> None:
    clouds = [np.array([[1.0, np.nan], [3.0, 2.0]]), np.array([[5.0, 4.0]]), np.array([[100.0, 100.0]] * 3)]
    sample = _sets(data.read((clouds, [0, 1, 0])))
    network = models.DeepSets(hidden=(4,)).build(sample.shape, 1)
    fitted = sample.fit(network, np.array([0, 1]))
    assert fitted.keys() == {f"enter.{n}" for n in ("items.centre", "items.scale", "items.fill")} | {
        "enter.size_centre",
        "enter.size_scale",
    }
    torch.testing.assert_close(fitted["enter.items.centre"], torch.tensor([3.0, 3.0]))
    torch.testing.assert_close(fitted["enter.items.scale"], torch.tensor([(8 / 3) ** -0.5, 1.0]))
    sizes = np.log([3, 2])
    torch.testing.assert_close(fitted["enter.size_centre"], torch.tensor(sizes.mean(), dtype=torch.float32))
    torch.testing.assert_close(fitted["enter.size_scale"], torch.tensor(1 / sizes.std(), dtype=torch.float32))


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (EVENTS, {"target": "charge"}, "differs within a set: set 'a' has 'minus' in row 2 and 'plus' in row 4"),
        (EVENTS, {"target": "proces"}, "Did you mean 'process'"),
        (EVENTS, {"target": None}, "No target was named"),
        (EVENTS, {"target": "event_id"}, "tells the sets apart"),
        (EVENTS.assign(event_id=["a", None, "a", "b", "b", "c"]), {}, "1 rows have no 'event_id' .first row 2."),
        (EVENTS[["event_id", "process"]], {}, "No column is left"),
        ((np.zeros((3, 4)), [0, 1, 0]), {"reading": {"set": None, "data": "sets"}}, "no collection of sets"),
        (([np.zeros((3, 2)), np.zeros((3, 3))], [0, 1]), {"reading": {"set": None, "data": "sets"}}, "3 features"),
        (([np.zeros((0, 2))] * 2, [0, 1]), {"reading": {"set": None, "data": "sets"}}, "All sets are empty"),
        (((np.zeros((2, 3, 1)), [1, 4]), [0, 1]), {"reading": {"set": None, "data": "sets"}}, "count of set 1 is 4"),
        (([np.zeros((3, 2)), "x"], [0, 1]), {"reading": {"set": None, "data": "sets"}}, "Set 1 is not an array"),
    ],
)
def test_bad_input_is_named(source: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(core.InputError, match=message):
        _read(source, **options)


def test_empty_sets_are_named_and_kept_or_left_out_where_asked() -> None:
    clouds, y = [*_clouds(), np.zeros((0, 2)), np.full((2, 2), np.nan)], [0, 1, 0, 1, 0]
    table = data.read((clouds, y))
    assert _sets(table).counts.tolist() == [3, 1, 2, 0, 0]
    assert [f.message[:33] for f in table.findings if f.kind == "empty-sets"] == ["2 of 5 sets are empty (3, 4); not"]
    left = data.read((clouds, y), reading=Reading(skip=True))
    assert _sets(left).counts.tolist() == [3, 1, 2]
    assert left.target is not None
    assert left.target.tolist() == [0, 1, 0]


def voxels(path: Path) -> list[np.ndarray]:
    """The occupied places of each shape of a ModelNet file, [items, 3]."""
    with gzip.open(path) as stored:
        grids = np.load(stored, allow_pickle=False)
    return [np.argwhere(grid[0] > 0).astype(np.uint8) for grid in grids]


# catalogue: D5, T8
def test_copies_among_real_shapes_are_counted_as_published(shared_data: Path) -> None:
    clouds = voxels(shared_data / "sets" / "modelnet_monitor.npy.gz")
    table = data.read({"monitor": clouds, "cube": [cloud[:8] for cloud in clouds[1:3]]})
    sample = _sets(table)
    monitors = sample.hashes()[: len(clouds)]
    assert len(clouds) == 466
    assert len(np.unique(monitors)) == 452
    assert sample.items.dtype == torch.uint8
    assert sample.shape == core.SetShape(features=3, items=11_266)
    kinds = {f.kind: f.message for f in table.findings}
    assert kinds.keys() >= {"empty-sets", "large-sets"}
    assert str(nn.ItemSubset(core.SetShape.TRAINED).trained) in kinds["large-sets"]
    points = sample.example(1)["points"]
    assert {tuple(map(int, p)) for p in points} <= {tuple(p) for p in clouds[1].tolist()}
