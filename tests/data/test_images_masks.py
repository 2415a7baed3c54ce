"""Masks beside images: found by name or place, of their image's size; a stack of slices is told by its neighbours."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tutti.core import InputError
from tutti.data import Reading, encode, overlay, read


def folders(tmp_path: Path, count: int = 14, size: tuple[int, int] = (20, 24), seed: int = 0) -> tuple[Path, Path]:
    """Images of bright blobs on dark, independent of each other, and their masks (0 and 255)."""
    rng = np.random.default_rng(seed)
    for name in ("image", "label"):
        (tmp_path / name).mkdir()
    for i in range(count):
        mask = rng.random(size) < 0.3
        image = (40 + 120 * mask + rng.integers(0, 30, size)).astype(np.uint8)
        Image.fromarray(image).save(tmp_path / "image" / f"{i}.png")
        Image.fromarray(np.uint8(255) * mask).save(tmp_path / "label" / f"{i}.png")
    return tmp_path / "image", tmp_path / "label"


# catalogue: T6
def test_a_folder_of_masks_is_matched_by_name_in_natural_order(tmp_path: Path) -> None:
    images, masks = folders(tmp_path)
    for mask in masks.iterdir():
        mask.rename(mask.with_name(f"{mask.stem}_mask.png"))
    Image.new("L", (24, 20)).save(masks / "extra.png")
    table = read(images, reading=Reading(masks=masks))
    assert table.task == "segmentation"
    assert table.time is None  # nothing says that neighbours are alike
    assert [f.kind for f in table.findings] == ["masks-unused"]
    assert table.sample is not None
    for i in range(14):
        np.testing.assert_array_equal(table.target[i], np.asarray(Image.open(masks / f"{i}_mask.png")))
        pixels = np.asarray(Image.open(images / f"{i}.png"))
        np.testing.assert_array_equal(table.sample.inputs()[0][i, 0], pixels)
    assert [c.name for c in table.schema.columns] == ["mask", "file", "slice"]


def test_arrays_tensors_lists_and_pairs_say_the_same(tmp_path: Path) -> None:
    images, masks = folders(tmp_path)
    table = read(images, reading=Reading(masks=masks))
    assert table.sample is not None
    x, y = table.sample.inputs()[0][:, 0].numpy(), np.asarray(table.target)
    ways = [
        read((x, y)),
        read((torch.from_numpy(x)[:, None], torch.from_numpy(y))),
        read(x, reading=Reading(masks=y)),
        read(list(x), reading=Reading(masks=[Image.fromarray(each) for each in y])),
        read(x, reading=Reading(masks=np.repeat(y[..., None], 3, axis=3))),  # grey written as colour
    ]
    for other in ways:
        assert other.task == "segmentation"
        np.testing.assert_array_equal(other.target, y)
        np.testing.assert_array_equal(other.sample.inputs()[0][:, 0], x)


def test_kinds_of_mask_files(tmp_path: Path) -> None:
    images, masks = folders(tmp_path, count=14)
    mask = np.asarray(Image.open(masks / "0.png"))
    palette = Image.fromarray((mask > 0).astype(np.uint8) * 7, "L").convert("P")
    palette.putdata((mask > 0).astype(np.uint8).ravel().tolist())
    palette.save(masks / "0.png")
    Image.fromarray(mask > 0).save(masks / "1.png")  # one bit
    colour = np.where((mask > 0)[..., None], np.uint8([255, 128, 0]), np.uint8(0))
    Image.fromarray(colour).save(masks / "2.png")
    raw = read(images, reading=Reading(masks=masks)).target
    assert set(np.unique(raw[0])) == {0, 1}  # of a palette the index, not the colour
    assert set(np.unique(raw[1])) == {0, 1}
    assert set(np.unique(raw[2])) == {1 << 24, (1 << 24) + 0xFF8000}


def test_where_images_are_resized_masks_keep_their_values(tmp_path: Path) -> None:
    images, masks = folders(tmp_path)
    table = read(images, reading=Reading(masks=masks, size=(10, 48)))
    assert table.target.shape == (14, 10, 48)
    assert set(np.unique(table.target)) == {0, 255}
    whole = np.asarray(Image.open(masks / "3.png"))
    np.testing.assert_array_equal(table.target[3], whole[1::2].repeat(2, axis=1))


# catalogue: S2
def test_slices_of_a_stack_are_held_out_from_the_end(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(30, 24, 24)).cumsum(0)
    x = ((steps - steps.min()) / np.ptp(steps) * 255).astype(np.uint8)
    y = (x > 128).astype(np.uint8)
    table = read((x, y))
    np.testing.assert_array_equal(table.time, np.arange(30))
    assert [f.kind for f in table.findings] == ["image-stack"]
    mixed = rng.permutation(30)
    assert read((x[mixed], y[mixed])).time is None


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda i, m: (m / "3.png").unlink(), "1 of 14 images have no mask in .*: '3.png'"),
        (
            lambda i, m: Image.new("L", (24, 21)).save(m / "3.png"),
            "'3.png' is 20 × 24 pixels, its mask '3.png' 21 × 24",
        ),
        (lambda i, m: (m / "3.png").write_bytes(b"no image"), "3.png' cannot be read"),
        (lambda i, m: (m / "3.png").write_bytes((m / "3.png").read_bytes()[:60]), "3.png' cannot be read"),
        (lambda i, m: [f.unlink() for f in m.iterdir()], "holds no mask"),
    ],
)
def test_masks_that_do_not_fit_are_named(tmp_path: Path, spoil, what: str) -> None:
    images, masks = folders(tmp_path)
    spoil(images, masks)
    with pytest.raises(InputError, match=what):
        read(images, reading=Reading(masks=masks))


def test_images_without_a_mask_are_left_out_on_request(tmp_path: Path) -> None:
    images, masks = folders(tmp_path)
    (masks / "3.png").unlink()
    table = read(images, reading=Reading(masks=masks, skip=True))
    assert table.rows == 13
    assert [f.kind for f in table.findings] == ["images-skipped"]
    np.testing.assert_array_equal(table.target[3], np.asarray(Image.open(masks / "4.png")))


def test_numbers_and_sizes_of_arrays_are_checked() -> None:
    x = np.zeros((14, 8, 8), np.uint8)
    with pytest.raises(InputError, match="14 images and 13 masks"):
        read(x, reading=Reading(masks=np.zeros((13, 8, 8), np.uint8)))
    with pytest.raises(InputError, match=r"Image 0 has shape \[8, 8\], its mask \[8, 9\]"):
        read(x, reading=Reading(masks=np.zeros((14, 8, 9), np.uint8)))


def test_new_images_need_no_masks_and_take_them_in_a_pair(tmp_path: Path) -> None:
    images, masks = folders(tmp_path)
    reading = Reading(masks=masks)
    table = read(images, reading=reading)
    new = encode(table.schema, images, reading=reading)
    assert new.target is None
    assert new.rows == 14
    x, y = table.sample.inputs()[0][:, 0].numpy(), np.asarray(table.target)  # type: ignore[union-attr]
    np.testing.assert_array_equal(encode(table.schema, (x, y), target=True, reading=reading).target, y)


def test_the_overlay_shows_what_is_wrong() -> None:
    image = np.full((1, 300, 200), 100, np.uint8)
    truth, said = np.zeros((300, 200), np.uint8), np.zeros((300, 200), np.uint8)
    truth[:150], said[:150], said[:, 100:] = 1, 1, 1
    truth[-20:] = 255
    found = overlay(image, said, truth)
    assert found["panels"] == ["image", "mask", "prediction", "errors"]
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(found["png"]))).convert("RGB")).astype(int)
    assert picture.shape == (150, 4 * 100 + 3 * 4, 3)
    errors = picture[:, -100:]
    red = errors[..., 0] - errors[..., 2] > 100
    wrong = (said != truth) & (truth != 255)
    np.testing.assert_array_equal(red, wrong[::2, ::2])
    assert overlay(image, said)["panels"] == ["image", "prediction"]
