"""Sources as notebooks hold them: by class, in pairs, in datasets of torch, in tables of images; one sample alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_array_equal
from PIL import Image
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from tutti import data
from tutti.core import InputError
from tutti.data import Reading

ROWS = 40
Y = [0, 1] * (ROWS // 2)
WORDS = ["cat", "dog"] * (ROWS // 2)
ARRAY = np.random.default_rng(0).integers(0, 255, (ROWS, 16, 12, 3), dtype=np.uint8)
PICTURES = [Image.fromarray(each) for each in ARRAY]
TEXTS = [f"a very good film that I liked {i}" for i in range(ROWS)]
WAVES = [np.random.default_rng(i).normal(size=20 + i % 5) for i in range(ROWS)]


class Pairs(Dataset):  # type: ignore[type-arg]
    """A dataset of torch as torchvision's: item i is (sample, number of its class)."""

    classes = ("cat", "dog")

    def __init__(self, samples: Any, labels: Any) -> None:
        self.samples_, self.labels = samples, labels

    def __len__(self) -> int:
        return len(self.samples_)

    def __getitem__(self, row: int) -> tuple[Any, Any]:
        return self.samples_[row], self.labels[row]


def by_class(values: Any) -> dict[str, Any]:
    return {"cat": values[0::2], "dog": values[1::2]}


# catalogue: D5
@pytest.mark.parametrize(
    ("kind", "values", "reading"),
    [
        ("images", PICTURES, Reading()),
        ("images", ARRAY, Reading()),
        ("images", list(ARRAY), Reading()),
        ("text", TEXTS, Reading()),
        ("text", [f"film {i}" for i in range(ROWS)], Reading(data="text")),
        ("signals", WAVES, Reading()),
        ("signals", np.random.default_rng(0).normal(size=(ROWS, 2, 30)), Reading()),
        ("signals", np.random.default_rng(0).normal(size=(ROWS, 30)), Reading(data="signals")),
        ("sets", [np.random.default_rng(i).normal(size=(3 + i % 3, 2)) for i in range(ROWS)], Reading()),
    ],
    ids=["PIL", "array", "list of arrays", "texts", "short texts", "signals", "channels", "asked", "sets"],
)
def test_samples_may_go_by_class(kind: str, values: Any, reading: Reading) -> None:
    source = by_class(values) if reading.data != "text" else {"cat": values[:15], "dog": values[15:]}  # of no table
    found = data.read(source, reading=reading)
    assert found.kind == kind
    assert_array_equal(found.target, [name for name, part in source.items() for _ in part])
    found = found.settled(np.arange(ROWS))
    if kind != "sets":  # more classes than one are not needed where they are known
        again = data.encode(found.schema, {"dog": values[:3]}, target=True, reading=reading)
        assert_array_equal(again.target, ["dog"] * 3)
    pair = data.read((values, WORDS), reading=reading).settled(np.arange(ROWS))
    rows = [*range(0, ROWS, 2), *range(1, ROWS, 2)]
    if kind != "text":  # whose tokens are numbered as they are met
        first, second = (t.inputs()[0].numpy() for t in (found, pair))
        assert_array_equal(first, second[rows])


@pytest.mark.parametrize(
    "source",
    [
        {"x": ARRAY, "mask": ARRAY},
        {"train": TEXTS, "test": TEXTS},
        {"size": [1.0, 2.0], "mass": [2.0, 3.0]},
        {"name": ["a", "b"] * 10, "colour": ["red", "blue"] * 10},
    ],
    ids=lambda source: " ".join(source),
)
def test_columns_are_not_taken_for_classes(source: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="No target was named"):
        data.read(source)


SOURCES: dict[str, Callable[[], Any]] = {
    "dataset": lambda: Pairs(PICTURES, Y),
    "dataset of tensors": lambda: Pairs(torch.from_numpy(ARRAY).permute(0, 3, 1, 2).float() / 255, torch.tensor(Y)),
    "loader": lambda: DataLoader(Pairs(PICTURES, Y)),
    "pairs": lambda: list(zip(PICTURES, WORDS, strict=True)),
    "records": lambda: [{"photo": p, "animal": w} for p, w in zip(PICTURES, WORDS, strict=True)],
    "frame": lambda: pd.DataFrame({"photo": PICTURES, "animal": WORDS}),
    "polars": lambda: pl.DataFrame({"photo": pl.Series(PICTURES, dtype=pl.Object), "animal": WORDS}),
    "dict": lambda: {"photo": PICTURES, "animal": WORDS},
    "series": lambda: (pd.Series(PICTURES), WORDS),
}


@pytest.mark.parametrize("name", SOURCES)
def test_images_and_their_labels_from_every_source(name: str) -> None:
    found = data.read(SOURCES[name]())
    assert found.kind == "images"
    assert_array_equal(found.inputs()[0].numpy(), ARRAY.transpose(0, 3, 1, 2))
    assert_array_equal(found.target, WORDS)


def test_parts_of_datasets_and_plain_tensors_keep_their_labels() -> None:
    found = data.read(Subset(Pairs(PICTURES, Y), range(1, 21)))
    assert_array_equal(found.target, WORDS[1:21])
    found = data.read(TensorDataset(torch.from_numpy(ARRAY), torch.tensor(Y)))
    assert found.kind == "images"
    assert_array_equal(found.target, Y)
    found = data.read(Pairs(torch.randn(ROWS, 3), torch.tensor(Y)))
    assert (found.kind, found.numbers.shape) == ("table", (ROWS, 3))


def test_pairs_of_texts_and_of_signals_are_read_and_pairs_of_words_are_a_table() -> None:
    assert data.read(list(zip(TEXTS, Y, strict=True))).kind == "text"
    assert data.read(list(zip(WAVES, Y, strict=True))).kind == "signals"
    assert data.read([("a", "b"), ("c", "d")] * 10, target=1).kind == "table"
    assert data.read([(0.1 * i, i % 2) for i in range(ROWS)], target=1).kind == "table"
    assert data.read([{"size": 0.1 * i, "y": i % 2} for i in range(ROWS)], target="y").kind == "table"


def listed(folder: Path) -> Path:
    (folder / "p").mkdir()
    for row, picture in enumerate(PICTURES):
        picture.save(folder / "p" / f"{row}.png")
    names = [f"p/{row}.png" for row in range(ROWS)]
    sites = [f"s{row % 4}" for row in range(ROWS)]
    path = folder / "labels.csv"
    pd.DataFrame({"path": names, "animal": WORDS, "site": sites}).to_csv(path, index=False)
    return path


# catalogue: D5
def test_a_table_may_name_its_images(tmp_path: Path) -> None:
    path = listed(tmp_path)
    found = data.read(path, target="animal", group="site")
    assert found.kind == "images"
    assert_array_equal(found.inputs()[0].numpy(), ARRAY.transpose(0, 3, 1, 2))
    assert_array_equal(found.target, WORDS)
    assert [f.kind for f in found.findings] == ["image-column"]
    new = data.encode(found.schema, path, target=True)
    assert not new.findings  # a prediction says nothing of it
    frame = pd.read_csv(path)
    lost = data.read(frame, target="animal")  # names that lead nowhere from here
    assert lost.kind == "table"
    assert "'p/0.png' is neither beside the table" in next(
        f.message for f in lost.findings if f.kind == "images-not-read"
    )
    frame["path"] = [str(tmp_path / name) for name in frame["path"]]
    assert data.read(frame, target="animal").kind == "images"
    assert data.encode(found.schema, frame[["path"]][:3]).rows == 3
    assert data.read(path, target="animal", reading=Reading(data="table")).kind == "table"
    frame.to_parquet(tmp_path / "labels.parquet")
    closed = data.read(tmp_path / "labels.parquet", target="animal")
    assert "--data images" in next(f.message for f in closed.findings if f.kind == "images-not-read")
    assert data.read(tmp_path / "labels.parquet", target="animal", reading=Reading(data="images")).rows == ROWS


def test_a_missing_image_is_named_and_skipped_only_if_asked(tmp_path: Path) -> None:
    path = listed(tmp_path)
    (tmp_path / "p" / "3.png").unlink()
    with pytest.raises(InputError, match=r"1 of 40 images cannot be read: 'p/3.png'"):
        data.read(path, target="animal")
    found = data.read(path, target="animal", reading=Reading(skip=True))
    assert_array_equal(found.target, [*WORDS[:3], *WORDS[4:]])
    with pytest.raises(InputError, match=r"1 rows of 'photo' have no image \(first: row 2\)"):
        data.read({"photo": [PICTURES[0], None, PICTURES[1]], "y": [0, 1, 0]}, target="y")
    with pytest.raises(InputError, match="No column of dict holds images"):
        data.read({"photo": ["nowhere.png"] * 4, "y": Y[:4]}, target="y", reading=Reading(data="images"))


def test_one_sample_is_a_batch_of_one(tmp_path: Path) -> None:
    images = data.read((PICTURES, WORDS)).schema
    for one in (PICTURES[0], ARRAY[0], torch.from_numpy(ARRAY[0]).permute(2, 0, 1), ARRAY[:1]):
        assert_array_equal(data.encode(images, one).inputs()[0].numpy(), ARRAY[:1].transpose(0, 3, 1, 2))
    signals = data.read((WAVES, WORDS)).schema
    for wave in (WAVES[0], WAVES[0].tolist(), torch.from_numpy(WAVES[0]), [WAVES[0]]):
        new = data.encode(signals, wave).inputs()[0].numpy()
        assert new.shape[:2] == (1, 1)
        assert_array_equal(new[0, 0, :20], WAVES[0].astype(np.float32))
    pairs = data.read((np.random.default_rng(0).normal(size=(ROWS, 2, 30)), WORDS)).schema
    assert data.encode(pairs, np.zeros((2, 30))).rows == 1
    clouds = [np.random.default_rng(i).normal(size=(3 + i % 3, 2)) for i in range(ROWS)]
    assert data.encode(data.read((clouds, WORDS)).schema, clouds[0]).rows == 1


def test_one_text_is_no_file_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schema = data.read((TEXTS, WORDS)).settled(np.arange(ROWS)).schema
    for text in ("good nice", "it runs for 90 min. and ends", "a long film\n" * 900):
        assert data.encode(schema, text).rows == 1
    with pytest.raises(InputError, match=r"no file 'good'\. A text is given in a list: \['good'\]"):
        data.encode(schema, "good")
    with pytest.raises(InputError, match=r"no file 'my new reviews\.csv'"):
        data.encode(schema, "my new reviews.csv")
    monkeypatch.chdir(tmp_path)
    Path("new reviews").mkdir()
    with pytest.raises(InputError, match="holds no folders"):
        data.encode(schema, "new reviews")


def graphs() -> list[dict[str, Any]]:
    """Paths of 4, 5 and 6 nodes, each node with its number as its feature."""
    found = []
    for i in range(ROWS):
        ends = np.arange(3 + i % 3)
        edges = np.stack([np.r_[ends, ends + 1], np.r_[ends + 1, ends]])
        found.append({"x": np.arange(4.0 + i % 3)[:, None], "edge_index": edges, "y": Y[i]})
    return found


def networks() -> list[Any]:
    made = []
    for i in range(ROWS):
        graph = nx.path_graph(4 + i % 3)
        nx.set_node_attributes(graph, {node: float(node) for node in graph}, "number")
        graph.graph["y"] = Y[i]
        made.append(graph)
    return made


def test_batches_networkx_graphs_and_pairs_are_the_same_graphs() -> None:
    geometric = pytest.importorskip("torch_geometric.data")
    expected = data.read(graphs())
    parts = [
        geometric.Data(
            x=torch.tensor(g["x"], dtype=torch.float32),
            edge_index=torch.from_numpy(g["edge_index"]),
            y=torch.tensor([g["y"]]),
        )
        for g in graphs()
    ]
    bare = [{k: v for k, v in g.items() if k != "y"} for g in graphs()]
    for source in (geometric.Batch.from_data_list(parts), networks(), (bare, Y), (parts, torch.tensor(Y))):
        found = data.read(source)
        assert found.kind == "graphs"
        assert_array_equal(found.target, Y)
        assert_array_equal(found.sample.hashes(), expected.sample.hashes())
    for one in (parts[0], networks()[0], graphs()[0]):
        assert data.encode(expected.schema, one).rows == 1


def test_networkx_graphs_with_odd_attributes_are_refused() -> None:
    odd = nx.path_graph(3)
    odd.nodes[0]["size"] = 1.0
    with pytest.raises(InputError, match="'size' is missing from some nodes"):
        data.read(([odd, odd], [0, 1]))
    nx.set_node_attributes(odd, "red", "size")
    with pytest.raises(InputError, match="hold more than numbers"):
        data.read(([odd, odd], [0, 1]))
    with pytest.raises(InputError, match="2 graphs and 3 labels"):
        data.read(([nx.path_graph(2)] * 2, [0, 1, 0]))


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (([np.zeros((5, 3))] * 60, list(range(60))), 'data="sets".*data="signals"'),
        (np.zeros((6, 5, 5, 5)), 'data="images"'),
        (object(), "PIL images.*torch-geometric.*Hugging Face"),
        (pd.DataFrame({"text": [f"good film {i}" for i in range(30)], "y": [0, 1] * 15}), "text='text'"),
    ],
    ids=["equal sets", "four axes", "object", "short texts"],
)
def test_what_is_not_read_is_told_what_would_be(source: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        data.read(source, target=None if isinstance(source, tuple) else -1)
