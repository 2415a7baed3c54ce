"""Images: every way in gives the same pixels, and what is odd is named."""

import base64
import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from tutti import core, data, models
from tutti.core import InputError
from tutti.data import Images, Reading, _images_decode

# catalogue: D2


def pictures(count: int = 6, side: int = 12, channels: int = 3) -> np.ndarray:
    """Smooth pictures [row, height, width, channel], which JPEG hardly changes."""
    grid = np.linspace(0, 1, side)
    waves = [np.add.outer(np.sin(3 * grid + i), np.cos(2 * grid * (1 + i % 3))) for i in range(count * channels)]
    stack = np.stack(waves).reshape(count, channels, side, side).transpose(0, 2, 3, 1)
    return np.round((stack + 2) / 4 * 255).astype(np.uint8)


def write(folder: Path, names: list[str], arrays: np.ndarray | list[np.ndarray], **options: Any) -> Path:
    for name, array in zip(names, arrays, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array).save(folder / name, **options)
    return folder


def read(source: Any, target: Any = None, **reading: Any) -> data.Table:
    return data.read(source, target=target, reading=Reading(**reading))


def sample(table: data.Table) -> Images:
    assert isinstance(table.sample, Images)
    return table.sample


def pixels(table: data.Table) -> torch.Tensor:
    (found,) = sample(table).inputs()
    return found if isinstance(found, torch.Tensor) else found.read(np.arange(len(found)))


def kinds(table: data.Table) -> set[str]:
    return {finding.kind for finding in table.findings}


NAMES = ["a/1.png", "a/2.png", "a/3.png", "b/4.png", "b/5.png", "b/6.png"]


@pytest.mark.parametrize(
    ("suffix", "off"), [("png", 0), ("bmp", 0), ("tiff", 0), ("gif", 24), ("jpg", 12), ("webp", 0)]
)
def test_every_format_gives_the_pixels_and_the_folder_the_label(tmp_path: Path, suffix: str, off: int) -> None:
    names = [name.replace("png", suffix) for name in NAMES]
    options = {"jpg": {"quality": 95, "subsampling": 0}, "webp": {"lossless": True}}.get(suffix, {})
    table = read(write(tmp_path / "photos", names, pictures(), **options))
    assert table.target is not None
    assert table.target.tolist() == ["a"] * 3 + ["b"] * 3
    assert sample(table).shape == core.ImageShape(channels=3, height=12, width=12)
    assert sample(table).summary == "6 images, 12 × 12, colour"
    difference = pixels(table).int() - torch.from_numpy(pictures()).permute(0, 3, 1, 2).int()
    assert difference.abs().max() <= off


LAYOUTS: dict[str, Callable[[np.ndarray], Any]] = {
    "channels last": lambda x: x,
    "channels first": lambda x: x.transpose(0, 3, 1, 2),
    "tensor": lambda x: torch.from_numpy(x).permute(0, 3, 1, 2),
    "floats": lambda x: x / np.float32(255),
    "list of arrays": list,
    "list of PIL": lambda x: [Image.fromarray(each) for each in x],
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout_of_arrays_gives_the_same_pixels(layout: Callable[[np.ndarray], Any]) -> None:
    y = ["cat", "dog"] * 3
    table = read((layout(pictures()), y))
    assert table.kind == "images"
    assert table.target is not None
    assert table.target.tolist() == y
    assert_array_equal(pixels(table).numpy(), pictures().transpose(0, 3, 1, 2))


def test_grey_images_need_no_axis_of_channels() -> None:
    grey = pictures(channels=1)[..., 0]
    table = read((grey, np.arange(6.0) / 7), target=None)
    assert sample(table).shape == core.ImageShape(channels=1, height=12, width=12)
    assert_array_equal(pixels(table)[:, 0].numpy(), grey)


def test_other_numbers_become_256_levels_and_new_images_the_same_ones() -> None:
    raw = pictures().astype(np.float32) / 255 * 6 - 2
    table = read((raw, [0, 1] * 3))
    assert "image-levels" in kinds(table)
    assert_allclose(pixels(table).numpy(), pictures().transpose(0, 3, 1, 2), atol=1)
    new = data.encode(table.schema, raw[:2] - 0.5)
    expected = np.round((raw[:2] - 0.5 - raw.min()) * (255 / (raw.max() - raw.min()))).clip(0, 255)
    assert_allclose(pixels(new).numpy(), expected.transpose(0, 3, 1, 2), atol=1)


def test_a_label_with_several_columns_is_several_targets() -> None:
    table = read((pictures(), np.eye(3)[[0, 1, 2, 0, 1, 2]]))
    assert table.target is not None
    assert table.target.shape == (6, 3)


def test_an_archive_tells_its_test_rows_and_its_validation_rows(tmp_path: Path) -> None:
    x = pictures(9, channels=1)[..., 0]
    np.savez(
        tmp_path / "m.npz",
        x_train=x[:4],
        y_train=[0, 1, 0, 1],
        x_test=x[7:],
        y_test=[0, 1],
        x_val=x[4:7],
        y_val=[0, 0, 1],
    )
    table = read(tmp_path / "m.npz")
    assert table.test is not None
    assert table.test.tolist() == [7, 8]
    assert table.validation is not None
    assert table.validation.tolist() == [4, 5, 6]
    assert_array_equal(pixels(table)[:, 0].numpy(), x)
    assert table.target is not None
    assert table.target.tolist() == [0, 1, 0, 1, 0, 0, 1, 0, 1]
    assert read(tmp_path / "m.npz", target="y").target is not None


def test_encoded_images_joined_in_an_archive(tmp_path: Path) -> None:
    files = []
    for each in pictures():
        file = io.BytesIO()
        Image.fromarray(each).save(file, "PNG")
        files.append(np.frombuffer(file.getvalue(), np.uint8))
    arrays = {"jpeg_train": np.concatenate(files), "len_train": [len(f) for f in files], "y_train": [0, 1] * 3}
    np.savez(tmp_path / "a.npz", **arrays)
    assert_array_equal(pixels(read(tmp_path / "a.npz")).numpy(), pictures().transpose(0, 3, 1, 2))
    np.savez(tmp_path / "b.npz", **arrays | {"len_train": [5] * 6})
    with pytest.raises(InputError, match="lengths of its images sum to 30"):
        read(tmp_path / "b.npz")


def test_a_hugging_face_dataset_is_known_by_what_it_offers() -> None:
    class Image:  # the feature's class has this name
        pass

    label = SimpleNamespace(int2str=lambda i: ["cat", "dog"][i])
    columns = {"image": LAYOUTS["list of PIL"](pictures()), "label": [0, 1, 0, 1, 0, 1]}

    class Dataset(dict):  # type: ignore[type-arg]
        features: ClassVar = {"image": Image(), "label": label}
        column_names: ClassVar = ["image", "label"]

    table = read({"train": Dataset(columns), "test": Dataset(columns)})
    assert table.rows == 12
    assert table.test is not None
    assert table.test.tolist() == [*range(6, 12)]
    assert table.target is not None
    assert table.target[:2].tolist() == ["cat", "dog"]


def test_file_names_become_columns(tmp_path: Path) -> None:
    names = [f"{'cat' if i % 2 else 'dog'}_{i // 2}_x.png" for i in range(6)]
    table = read(write(tmp_path, names, pictures()), target="label", target_from="{label}_{owner}_*.png")
    assert table.target is not None
    assert sorted(table.target.tolist()) == ["cat"] * 3 + ["dog"] * 3
    assert "owner" in [column.name for column in table.schema.columns]


def test_folders_of_parts_set_the_test_apart(tmp_path: Path) -> None:
    names = [f"train/{c}/{i}.png" for c in "ab" for i in range(2)] + ["test/a/0.png", "test/b/0.png"]
    table = read(write(tmp_path, names, pictures()))
    assert table.test is not None
    assert table.test.tolist() == [4, 5]
    assert table.target is not None
    assert table.target.tolist() == ["a", "a", "b", "b", "a", "b"]


def test_mixed_sizes_and_modes_are_brought_together_and_told(tmp_path: Path) -> None:
    sizes = [10, 12, 12, 14, 12, 12]
    arrays = [pictures(1, side, 1 if i == 0 else 3)[0] for i, side in enumerate(sizes)]
    folder = write(tmp_path, NAMES, arrays)
    table = read(folder)
    assert sample(table).shape == core.ImageShape(channels=3, height=12, width=12)
    assert {"image-sizes", "image-channels"} <= kinds(table)
    assert sample(read(folder, size=(8, 9))).shape == core.ImageShape(channels=3, height=8, width=9)
    large = read(write(tmp_path / "large", NAMES, [pictures(1, 300)[0]] * 6))
    assert sample(large).shape.height == _images_decode.LARGEST_SIDE
    assert "image-sizes" in kinds(large)


@pytest.mark.parametrize("content", [b"", b"no image", "half"], ids=["zero bytes", "text", "cut off"])
def test_a_broken_image_is_named_and_skipped_only_if_asked(tmp_path: Path, content: Any) -> None:
    folder = write(tmp_path, NAMES, pictures(side=40))
    file = folder / "b" / "5.png"
    file.write_bytes(file.read_bytes()[:900] if content == "half" else content)
    with pytest.raises(InputError, match=r"1 of 6 images cannot be read: 'b/5.png'.*--skip"):
        read(folder)
    table = read(folder, skip=True)
    assert "images-skipped" in kinds(table)
    assert table.target is not None
    assert table.target.tolist() == ["a"] * 3 + ["b"] * 2
    assert_array_equal(pixels(table)[-1].numpy(), pictures(side=40)[5].transpose(2, 0, 1))


def test_an_image_with_too_many_pixels_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path, NAMES, pictures())
    monkeypatch.setattr(_images_decode, "MOST_PIXELS", 143)
    with pytest.raises(InputError, match="more than the limit of 143"):
        read(folder)


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["a/1.png", "a/2.png", "b/3.png"], "one image only of 'b'"),
        (["a/1.png", "a/2.png", "a/3.png"], "one class only, 'a'"),
        (["a/1.png", "a/2.png", "3.png"], "1 of 3 images in .* lie in no folder"),
    ],
)
def test_folders_that_cannot_be_learnt_from_are_refused(tmp_path: Path, names: list[str], why: str) -> None:
    with pytest.raises(InputError, match=why):
        read(write(tmp_path, names, pictures(3)))


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ((np.zeros((4, 2, 9, 9, 3)), [0, 1] * 2), "Images of shape"),
        ((np.full((4, 9, 9, 3), np.nan), [0, 1] * 2), "missing or infinite"),
        ((pictures(), [0, 1]), "6 images and 2 labels"),
    ],
)
def test_arrays_that_are_no_images_are_refused(source: Any, why: str) -> None:
    with pytest.raises(InputError, match=why):
        read(source, data="images")


def test_large_folders_lie_in_a_file_and_read_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path, NAMES, pictures())
    here = sample(read(folder))
    monkeypatch.setattr(_images_decode, "IN_MEMORY", 100)
    table = read(folder)
    there = sample(table)
    assert not isinstance(there.inputs()[0], torch.Tensor)
    order = np.array([4, 0, 0, 5])
    for a, b in ((here, there), (here.take(order), there.take(order)), (here.joined(here), there.joined(there))):
        (rows,) = b.inputs()
        assert not isinstance(rows, torch.Tensor)
        assert_array_equal(rows.read(np.arange(len(b))), a.inputs()[0])
        assert_array_equal(a.hashes(), b.hashes())


def test_new_images_are_read_as_the_fitted_ones(tmp_path: Path) -> None:
    table = read((pictures(), ["a", "b"] * 3))
    new = data.encode(table.schema, write(tmp_path, ["x.png"], pictures(1, 24, 1)))
    assert sample(new).shape == sample(table).shape
    assert sample(data.encode(table.schema, tmp_path / "x.png")).shape == sample(table).shape


def test_statistics_are_those_of_the_training_rows_alone() -> None:
    table = read((pictures(), [0, 1] * 3))
    network = models.ResNet().build(sample(table).shape, 2)
    rows = np.array([0, 2, 3])
    found = table.fit(network, rows)
    train = pictures()[rows].astype(np.float64)
    assert_allclose(found["front.mean"], train.mean((0, 1, 2)), rtol=1e-6)
    assert_allclose(found["front.scale"], 1 / train.std((0, 1, 2)), rtol=1e-6)


def test_an_example_is_the_picture() -> None:
    shown = sample(read((pictures(), [0, 1] * 3))).example(2)
    assert_array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(shown["png"])))), pictures()[2])


def test_pictures_compressed_anew_are_found_on_both_sides(shared_data: Path) -> None:
    with np.load(shared_data / "images" / "fashion_mnist.npz") as archive:
        x = archive["x_train"][:400]
    again = []
    for each in x[:40]:
        file = io.BytesIO()
        Image.fromarray(each).save(file, "JPEG", quality=85)
        again.append(np.asarray(Image.open(file)))
    for copies, expected in ((np.stack(again), 1), (x[360:], 0)):
        images = sample(read((np.concatenate([x[:360], copies]), [0, 1] * 200)))
        fold = core.Fold(train=np.arange(300), validation=np.arange(300, 360))
        splits = core.Splits(
            kind="given", rows=400, test=np.arange(360, 400), folds=(fold,), unit="row", units=np.arange(400)
        )
        found = images.leaks(splits, given=True)
        assert len(found) == expected
        assert all(f.kind == "near-duplicates" and f.severity == "notice" for f in found)


def test_four_darkened_pictures_among_twelve_are_found(shared_data: Path) -> None:
    with np.load(shared_data / "images" / "fashion_mnist.npz") as archive:
        x = archive["x_train"][:60]
    dark = (x[:4] * 0.6).round().astype(np.uint8)
    fold = core.Fold(train=np.arange(40), validation=np.arange(40, 48))
    for pictures_, expected in ((np.concatenate([x[:56], dark]), 1), (np.concatenate([x[:59], dark[:1]]), 0), (x, 0)):
        images = sample(read((pictures_, [0, 1] * 30)))
        splits = core.Splits(
            kind="given", rows=60, test=np.arange(48, 60), folds=(fold,), unit="row", units=np.arange(60)
        )
        found = images.leaks(splits, given=True)
        assert len(found) == expected
        assert all("4 of 12 images" in f.message for f in found)


def test_shirts_that_look_alike_by_chance_are_no_copies(shared_data: Path) -> None:
    """Of 300 test images against 20,000, a few correlate by 0.99; then many more do by 0.98."""
    with np.load(shared_data / "images" / "fashion_mnist.npz") as archive:
        x = np.concatenate([archive["x_test"][1_200:1_500], archive["x_train"][:20_000]])
    images = sample(read((x, [0, 1] * 10_150)))
    rows = np.arange(len(x))
    splits = core.Splits(kind="given", rows=len(x), test=rows[:300], folds=(), unit="row", units=rows)
    assert images.leaks(splits, given=True) == []
