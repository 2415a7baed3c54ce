"""Images in an NPZ archive, or in a dict of arrays: pixels or encoded files, labels, and parts set apart."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from tutti.core import InputError
from tutti.data._images_arrays import is_array

PIXELS = ("x", "image", "images", "img", "imgs", "pixels", "data")
LABELS = ("y", "label", "labels", "target", "targets")
FILES = ("jpeg", "png", "bytes")
LENGTHS = ("len", "length", "lengths")
PARTS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
}
ORDER = ("", "train", "validation", "test")


@dataclass(frozen=True)
class Part:
    """One part of an archive: its name in ORDER, its images (an array, or files as bytes), other values by name."""

    name: str
    images: Any
    values: dict[str, Shaped[np.ndarray, "rows ..."]]


def taken_apart(name: str) -> tuple[str, str]:
    """The part that an array's name names ("" for none), and the rest: "x_train" -> ("train", "x")."""
    pieces = name.split("_")
    for place in (-1, 0):
        part = PARTS.get(pieces[place].lower())
        if part and len(pieces) > 1:
            return part, "_".join(pieces[:-1] if place else pieces[1:])
    return "", name


def holds_images(shapes: Mapping[str, tuple[tuple[int, ...], str]]) -> bool:
    """Whether arrays of these shapes and types (name -> (shape, letter of the type)) are images and their labels."""
    names = {taken_apart(name): shape for name, shape in shapes.items()}
    for (part, base), (shape, letter) in names.items():
        if base.lower() in PIXELS and (len(shape) == 4 or (len(shape) == 3 and letter in "ub")):
            return True
        if base.lower() in FILES and any((part, length) in names for length in LENGTHS):
            return True
    return False


def shapes_in(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and type letter of each array of an archive, from their heads alone; {} where it is none."""
    found: dict[str, tuple[tuple[int, ...], str]] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                with archive.open(name) as file:
                    version = np.lib.format.read_magic(file)
                    read = (
                        np.lib.format.read_array_header_1_0
                        if version == (1, 0)
                        else np.lib.format.read_array_header_2_0
                    )
                    shape, _, dtype = read(file)
                found[name.removesuffix(".npy")] = (shape, dtype.kind)
    except (OSError, ValueError, zipfile.BadZipFile):
        return {}
    return found


def read_archive(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an archive; objects are refused."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path.name} cannot be read: {error}", fix="Write it with numpy.savez.") from error


def parts_of(arrays: Mapping[str, Any], source: str) -> list[Part]:
    """The parts in the order: unnamed, train, validation, test. Each has images; all have the same other values."""
    grouped: dict[str, dict[str, Any]] = {}
    for name, values in arrays.items():
        part, base = taken_apart(name)
        grouped.setdefault(part, {})[base] = values
    found = []
    for name in ORDER:
        mine = grouped.get(name, {})
        images = _images(mine, source)
        if images is None:
            continue
        values = {k: np.asarray(v) for k, v in mine.items() if np.ndim(v) in (1, 2) and len(v) == len(images)}
        found.append(Part(name, images, {_label(k): v for k, v in values.items()}))
    if not found:
        raise InputError(
            f"{source} holds no array of images ({', '.join(map(repr, list(arrays)[:10]))}).",
            fix='Name it "x", "images" or "x_train", of shape [row, height, width] or [row, height, width, channel].',
        )
    shared = set.intersection(*(set(part.values) for part in found))
    return [Part(p.name, p.images, {k: v for k, v in p.values.items() if k in shared}) for p in found]


def _label(name: str) -> str:
    return name if name.lower() not in LABELS else name.lower()


def _images(arrays: dict[str, Any], source: str) -> Any:
    """The images among these arrays, which is taken out; None where there are none."""
    for name in list(arrays):
        if name.lower() in PIXELS and np.ndim(arrays[name]) in (3, 4):
            values = arrays.pop(name)
            return values if is_array(values) else np.asarray(values)
    for name in list(arrays):
        lengths = next((arrays[other] for other in arrays if other.lower() in LENGTHS), None)
        if name.lower() in FILES and lengths is not None:
            arrays.pop(next(other for other in arrays if other.lower() in LENGTHS))
            return _files(np.asarray(arrays.pop(name)), np.asarray(lengths), f"{source}: {name}")
    return None


def _files(
    joined: Shaped[np.ndarray, " bytes"], lengths: Shaped[np.ndarray, " rows"], where: str
) -> list[memoryview]:
    """Encoded images that were joined end to end, one by one."""
    ends = np.cumsum(lengths.astype(np.int64))
    total = int(ends[-1]) if len(ends) else 0
    if joined.dtype != np.uint8 or joined.ndim != 1 or not len(ends) or total != len(joined) or lengths.min() < 0:
        raise InputError(
            f"{where} holds {joined.size:,} bytes, and the lengths of its images sum to {total:,}.",
            fix="Give one length for each image.",
        )
    view = np.ascontiguousarray(joined).data
    return [view[end - length : end] for end, length in zip(ends.tolist(), lengths.tolist(), strict=True)]
