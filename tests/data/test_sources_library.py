"""Datasets of Hugging Face, alone and in parts, for every kind of data; with the library itself where it is there."""

from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from tutti import data
from tutti.core import InputError
from tutti.data import Reading, Table

ROWS = 40
CLASSES = ["no", "yes"]
Make = Callable[..., Any]


class StandIn:
    """What tutti asks of a dataset: names, features by name, columns."""

    def __init__(self, columns: dict[str, list[Any]], features: dict[str, Any]) -> None:
        self.columns, self.features, self.column_names = columns, features, list(columns)

    def __getitem__(self, name: str) -> list[Any]:
        return self.columns[name]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


def value(dtype: str) -> Any:
    return SimpleNamespace(dtype=dtype)


class Picture:
    dtype = "PIL.Image.Image"


Picture.__name__ = "Image"


class Audio:
    dtype = "dict"


class Array2D:
    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape, self.dtype = shape, "float32"


def stand_in(columns: dict[str, list[Any]], **kinds: Any) -> StandIn:
    made = {
        "classes": lambda _: SimpleNamespace(names=CLASSES, dtype="int64", int2str=lambda i: CLASSES[i]),
        "image": lambda _: Picture(),
        "list": lambda _: SimpleNamespace(feature=value("float64")),
        "lists": lambda _: SimpleNamespace(feature=SimpleNamespace(feature=value("float64"))),
        "array": lambda cell: Array2D(np.shape(cell)),
    }
    features = {n: made.get(kinds[n], lambda _, n=n: value(kinds[n]))(cells[0]) for n, cells in columns.items()}
    return StandIn(columns, features)


def real(library: ModuleType) -> Make:
    def make(columns: dict[str, list[Any]], **kinds: Any) -> Any:
        made = {
            "classes": lambda _: library.ClassLabel(names=CLASSES),
            "image": lambda _: library.Image(),
            "list": lambda _: library.List(library.Value("float64")),
            "lists": lambda _: library.List(library.List(library.Value("float64"))),
            "array": lambda cell: library.Array2D(np.shape(cell), "float32"),
        }
        features = {
            n: made.get(kinds[n], lambda _, n=n: library.Value(kinds[n]))(cells[0]) for n, cells in columns.items()
        }
        return library.Dataset.from_dict(columns, features=library.Features(features))

    return make


@pytest.fixture(params=["stand-in", "datasets"])
def make(request: pytest.FixtureRequest) -> Make:
    return stand_in if request.param == "stand-in" else real(pytest.importorskip("datasets"))


LABELS = [0, 1] * (ROWS // 2)
NAMES = [CLASSES[i] for i in LABELS]


def table(make: Make) -> Any:
    numbers = np.random.default_rng(0).normal(size=ROWS).tolist()
    columns = {"size": numbers, "colour": ["red", "blue"] * (ROWS // 2), "label": LABELS}
    return make(columns, size="float64", colour="string", label="classes")


def texts(make: Make, words: str) -> Any:
    columns = {"text": [f"{words} {i}" for i in range(ROWS)], "label": LABELS}
    return make(columns, text="string", label="classes")


def ragged(make: Make) -> Any:
    rng = np.random.default_rng(0)
    columns = {"wave": [rng.normal(size=5 + i % 7).tolist() for i in range(ROWS)], "label": LABELS}
    return make(columns, wave="list", label="classes")


def pictures(seed: int = 0) -> list[Image.Image]:
    rng = np.random.default_rng(seed)
    return [Image.fromarray(rng.integers(0, 255, (16, 12, 3), dtype=np.uint8)) for _ in range(ROWS)]


def masks() -> list[Image.Image]:
    rng = np.random.default_rng(1)
    return [Image.fromarray((rng.integers(0, 2, (16, 12)) * 255).astype(np.uint8)) for _ in range(ROWS)]


SOURCES: dict[str, tuple[str, Callable[[Make], Any]]] = {
    "table": ("table", table),
    "texts": ("text", lambda make: texts(make, "a really good film that I liked")),
    "short texts": ("text", lambda make: texts(make, "good nice film")),
    "signals": ("signals", ragged),
    "images": ("images", lambda make: make({"image": pictures(), "label": LABELS}, image="image", label="classes")),
}


# catalogue: D5
@pytest.mark.parametrize("name", SOURCES)
def test_a_dataset_tells_its_kind_and_its_target(make: Make, name: str) -> None:
    kind, source = SOURCES[name]
    found = data.read(source(make))
    assert (found.kind, found.rows) == (kind, ROWS)
    assert_array_equal(found.target, NAMES)


@pytest.mark.parametrize("name", SOURCES)
def test_the_test_part_of_a_dict_of_datasets_is_set_apart(make: Make, name: str) -> None:
    kind, source = SOURCES[name]
    found = data.read({"test": source(make), "train": source(make)})
    assert (found.kind, found.rows) == (kind, 2 * ROWS)
    assert_array_equal(found.test, np.arange(ROWS, 2 * ROWS))
    assert_array_equal(found.target, [*NAMES, *NAMES])


def test_parts_of_tables_are_frames_too_and_validate() -> None:
    frame = pd.DataFrame({"size": np.arange(30) / 7, "label": ["a", "b"] * 15})
    found = data.read({"train": frame, "validation": frame[:10], "test": frame[:6]}, target="label")
    assert_array_equal(found.validation, np.arange(30, 40))
    assert_array_equal(found.test, np.arange(40, 46))
    assert_array_equal(found.numbers[40:, 0], found.numbers[:6, 0])
    assert [f.kind for f in found.findings] == ["given-split"]


def test_parts_that_share_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="share no column"):
        data.read({"train": pd.DataFrame({"a": [1]}), "test": pd.DataFrame({"b": [1]})}, target="a")


def test_short_texts_encode_as_those_that_were_fitted(make: Make) -> None:
    found = data.read(texts(make, "good film")).settled(np.arange(ROWS))
    new = make({"text": ["good film 3", "unheard words"]}, text="string")
    assert data.encode(found.schema, new).rows == 2


def test_declared_classes_are_names_and_none_is_missing(make: Make) -> None:
    columns = {"size": [0.5 + i for i in range(ROWS)], "label": [-1, *LABELS[1:]]}
    found = data.read(make(columns, size="float64", label="classes"))
    assert found.rows == ROWS - 1
    assert_array_equal(found.target, NAMES[1:])


def test_matrices_are_signals_and_lists_of_items_are_sets_where_said(make: Make) -> None:
    rng = np.random.default_rng(0)
    waves = [rng.normal(size=(2, 30)).astype(np.float32) for _ in range(ROWS)]
    found = data.read(make({"x": waves, "label": LABELS}, x="array", label="classes"))
    assert found.kind == "signals"
    assert_array_equal(found.inputs()[0].numpy(), np.stack(waves))
    clouds = {"points": [rng.normal(size=(3 + i % 4, 3)).tolist() for i in range(ROWS)], "label": LABELS}
    source = make(clouds, points="lists", label="classes")
    with pytest.raises(InputError, match='data="signals" or data="sets"'):
        data.read(source)
    found = data.read({"train": source, "test": source}, reading=Reading(data="sets"))
    assert (found.kind, found.rows) == ("sets", 2 * ROWS)
    assert_array_equal(found.test, np.arange(ROWS, 2 * ROWS))


def test_audio_is_decoded_by_the_user() -> None:
    sounds = StandIn({"audio": [object()] * 4, "label": LABELS[:4]}, {"audio": Audio(), "label": value("int64")})
    for source in (sounds, {"train": sounds}):
        with pytest.raises(InputError, match=r"'audio' of the dataset is Audio.*get_all_samples"):
            data.read(source)


def test_signals_of_one_length_would_be_a_table(make: Make) -> None:
    source = make({"x": [[0.1 * i, 1.0, 2.0] for i in range(ROWS)], "label": LABELS}, x="list", label="classes")
    with pytest.raises(InputError, match='data="signals"'):
        data.read(source)
    assert data.read(source, reading=Reading(data="signals")).kind == "signals"
    with pytest.raises(InputError, match="not one of arrays"):
        data.read(table(make), reading=Reading(data="signals"))


def segmented(found: Table) -> None:
    assert found.task == "segmentation"
    assert_array_equal(found.target, np.stack([np.asarray(mask) for mask in masks()]))
    assert_array_equal(found.inputs()[0].numpy(), np.stack([np.asarray(p).transpose(2, 0, 1) for p in pictures()]))


@pytest.mark.parametrize("name", ["annotation", "odd"])
def test_a_column_of_masks_is_a_segmentation(make: Make, name: str) -> None:
    source = make({"image": pictures(), name: masks()}, image="image", **{name: "image"})
    for options in ({}, {"target": name}, {"reading": Reading(masks=name)}):
        segmented(data.read(source, **options))
    found = data.read({"train": source, "test": source}, target=name)
    assert_array_equal(found.test, np.arange(ROWS, 2 * ROWS))
    segmented(data.encode(found.schema, source, target=True))
    alone = make({"image": pictures()}, image="image")
    assert data.encode(found.schema, alone).rows == ROWS


def test_masks_may_stand_before_their_images_and_in_lists(make: Make) -> None:
    columns = {"odd": masks(), "picture": pictures(), "id": list(range(ROWS))}
    source = make(columns, odd="image", picture="image", id="int64")
    segmented(data.read(source, target="odd"))
    segmented(data.read((pictures(), masks())))
    small = [mask.resize((6, 8)) for mask in masks()]
    with pytest.raises(InputError, match=r"shape \[16, 12\], its mask \[8, 6\]"):
        data.read((pictures(), small))
