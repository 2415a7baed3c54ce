"""Which sources hold images, and how each of them is read."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from tutti.core import Finding, ImageShape, InputError, InputTypeError, Rows, shape_from_json
from tutti.data._images import Images
from tutti.data._images_arrays import Span, fitted, is_array, looks_like_images, pixels_of, shaped
from tutti.data._images_decode import decode
from tutti.data._images_folder import has_images, is_image, list_folder
from tutti.data._images_library import holds_pictures, is_picture, is_torchvision, mask_column, parts_of_library
from tutti.data._images_masks import has_masks, with_masks
from tutti.data._images_npz import ORDER, Part, holds_images, parts_of, read_archive, shapes_in
from tutti.data._images_table import SUFFIXES as TABLES
from tutti.data._images_table import image_cells, names_images, part_of_table
from tutti.data._reading import Reading
from tutti.data._rows_of import join_rows
from tutti.data._sample import Found

LABEL = "label"
_NO_DESCRIPTION: Mapping[str, Any] = {}


class ImageReader:
    """Images of any source: see docs/images.md for the list."""

    kind = "images"

    def claims(self, source: Any, reading: Reading) -> bool:
        if isinstance(source, str | Path):
            path = Path(source)
            if path.is_dir():
                return has_images(path)
            archive = path.suffix.lower() == ".npz" and holds_images(shapes_in(path))
            return is_image(path) or archive or image_cells(path, reading.wishes.beside) is not None
        if isinstance(source, tuple) and len(source) == 2:
            return self._is_content(source[0])
        if isinstance(source, Mapping) and source and all(is_array(each) for each in source.values()):
            shapes = {k: (tuple(v.shape), _letter(v)) for k, v in source.items()}
            return holds_images(shapes) or image_cells(source, reading.wishes.beside) is not None
        if self._is_content(source) or holds_pictures(source) or is_torchvision(source):
            return True
        return image_cells(source, reading.wishes.beside) is not None

    def _is_content(self, values: Any) -> bool:
        """Whether these are images themselves, nothing beside them."""
        if is_picture(values) or looks_like_images(values):
            return True
        if not isinstance(values, list) or not values:
            return False
        first = values[0]
        if isinstance(first, str | Path):
            return is_image(Path(first))
        return is_picture(first) or (is_array(first) and looks_like_images(first[None]))

    def read(self, source: Any, reading: Reading) -> Found:
        if has_masks(source, reading):
            return with_masks(source, reading, lambda images, plain: self._found(images, plain, None))
        return self._found(source, reading, _NO_DESCRIPTION)

    def encode(self, description: Mapping[str, Any], source: Any, reading: Reading) -> Found:
        plain = replace(reading, masks=None)  # those named for the training images are no others'
        if has_masks(source, plain):
            return with_masks(source, plain, lambda images, plain: self._found(images, plain, description))
        return self._found(source, plain, description)

    def _found(self, source: Any, reading: Reading, description: Mapping[str, Any] | None) -> Found:
        """description: of images that new ones must be like; empty where there is none, None where there are no
        labels either."""
        name, parts, targets, findings = _parts(source, reading, labelled=description == _NO_DESCRIPTION)
        builder = _Builder(reading, description or _NO_DESCRIPTION)
        parts = [builder.add(part) for part in parts]
        names = np.repeat([part.name for part in parts], [len(part.images) for part in parts])
        columns = {key: [cell for part in parts for cell in np.asarray(part.values[key])] for key in parts[0].values}
        columns, renamed = _flat(columns)
        targets = tuple(each for target in targets for each in renamed.get(target, [target]) if each in columns)
        return Found(
            sample=builder.images(),
            columns=columns,
            targets=targets,
            test=_places(names, "test") if "train" in names or "" in names else None,
            validation=_places(names, "validation") if "train" in names else None,
            source=name,
            findings=(*findings, *builder.findings),
        )


class _Builder:
    """Decodes part after part; all get the size, the channels and the levels of the first, or of the description."""

    def __init__(self, reading: Reading, description: Mapping[str, Any]) -> None:
        self.reading = reading
        self.findings: list[Finding] = []
        self.pixels: Tensor | Rows | None = None
        self.shape: ImageShape | None = None
        self.span: Span | None = None
        self.known = bool(description)
        if description:
            shape = shape_from_json(description["shape"])
            assert isinstance(shape, ImageShape)
            self.shape = shape
            self.span = tuple(description["span"]) if description.get("span") else None

    def add(self, part: Part) -> Part:
        """Takes a part's images in; gives back the part without images and rows that were skipped."""
        images = part.images
        if isinstance(images, list) and images and is_array(images[0]):
            together = shaped(images)
            images = [_picture(each) for each in images] if together is None else together
        if is_array(images):
            pixels, span, found = pixels_of(images, span=self.span, known=self.known)
            kept = np.arange(len(pixels))
            pixels = self._sized(pixels) if self.shape is None else fitted(pixels, self.shape)
            rows: Tensor | Rows = pixels
            self.findings += found
            self.span = span
        else:
            size = self.reading.size if self.shape is None else (self.shape.height, self.shape.width)
            channels = None if self.shape is None else self.shape.channels
            files = part.values.get("file")
            names = [f"image {i}" for i in range(len(images))] if files is None else [str(each) for each in files]
            decoded = decode(images, names, size=size, channels=channels, skip=self.reading.skip)
            rows, kept = decoded.pixels, decoded.kept
            self.findings += decoded.findings
        self.pixels = rows if self.pixels is None else join_rows(self.pixels, rows)
        self.shape, self.known = Images(rows).shape, True
        return Part(part.name, kept, {k: np.asarray(v, dtype=object)[kept] for k, v in part.values.items()})

    def _sized(self, pixels: Tensor) -> Tensor:
        height, width = self.reading.size or pixels.shape[2:]
        return fitted(pixels, ImageShape(channels=pixels.shape[1], height=height, width=width))

    def images(self) -> Images:
        if self.pixels is None:
            raise InputError("There is no image.", fix="Give at least one.")
        return Images(self.pixels, span=self.span)


def _parts(
    source: Any, reading: Reading, *, labelled: bool
) -> tuple[str, list[Part], tuple[str, ...], tuple[Finding, ...]]:
    """(name, parts, columns that are the target, findings) of any source. labelled: there must be labels."""
    if isinstance(source, str | Path):
        return _from_path(Path(source), reading, labelled)
    if isinstance(source, tuple) and len(source) == 2:
        content, labels = source
        values = {LABEL: _values(labels)}
        if len(values[LABEL]) != len(content):
            raise InputError(
                f"There are {len(content):,} images and {len(values[LABEL]):,} labels.", fix="Give one each."
            )
        return "images", [Part("", content, values)], (LABEL,), ()
    if is_torchvision(source):
        targets = _values(source.targets)
        classes = getattr(source, "classes", None)
        named = targets if classes is None else np.asarray(classes, dtype=object)[targets.astype(int)]
        return type(source).__name__, [Part("", source.data, {LABEL: named})], (LABEL,), ()
    if holds_pictures(source):
        parts = parts_of_library(source, mask_column(source, reading.wishes.beside))
        return "dataset", parts, _targets(parts), ()
    if names_images(source):
        return _from_table(source, reading, labelled)
    if isinstance(source, Mapping):
        parts = parts_of(source, "dict")
        return "dict", parts, _targets(parts), ()
    images: Any = [source] if is_picture(source) else source
    if not (is_array(images) or isinstance(images, list)):
        raise InputTypeError(
            f"{type(source).__name__!r} holds no images that are known.", fix="Give arrays or files."
        )
    if is_array(images) and images.ndim == 2:
        images = images[None]
    return "images", [Part("", images, {})], (), ()


def _from_path(
    path: Path, reading: Reading, labelled: bool
) -> tuple[str, list[Part], tuple[str, ...], tuple[Finding, ...]]:
    if path.is_dir():
        listing = list_folder(path, target_from=reading.target_from, labelled=labelled)
        files = np.array([str(path / file) for file in listing.files], dtype=object)
        parts = []
        for name in ORDER:
            mine = np.flatnonzero(np.array(listing.parts) == name)
            values = {k: np.array(v, dtype=object)[mine] for k, v in listing.columns.items()}
            parts += [Part(name, files[mine].tolist(), values)] if len(mine) else []
        return path.name, parts, _targets(parts), listing.findings
    if not path.is_file():
        raise InputError(f"There is no file {str(path)!r}.", fix="Give a folder of images, an image or an NPZ.")
    if {*path.suffixes} & {*TABLES}:
        return _from_table(path, reading, labelled)
    if path.suffix.lower() == ".npz":
        parts = parts_of(read_archive(path), path.name)
        return path.name, parts, _targets(parts), ()
    return path.name, [Part("", [str(path)], {"file": np.array([path.name], dtype=object)})], (), ()


def _from_table(
    source: Any, reading: Reading, labelled: bool
) -> tuple[str, list[Part], tuple[str, ...], tuple[Finding, ...]]:
    name, part, told = part_of_table(source, reading)
    return name, [part], _targets([part]), (told,) if labelled else ()


def _targets(parts: Sequence[Part]) -> tuple[str, ...]:
    """The column that is the target where nobody says which: "label", "y", "target", or the only one."""
    names = [name for name in parts[0].values if name != "file"]
    known = [name for name in (LABEL, "y", "labels", "target", "targets") if name in names]
    return tuple(known[:1]) or (tuple(names) if len(names) == 1 else ())


def _values(labels: Any) -> Shaped[np.ndarray, "rows ..."]:
    return labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)


def _flat(columns: Mapping[str, Sequence[Any]]) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """One column per number of columns with several ("y 0", "y 1", …), and what became of which."""
    flat: dict[str, Any] = {}
    renamed: dict[str, list[str]] = {}
    for name, cells in columns.items():
        array = np.asarray(cells)
        if array.ndim == 2 and array.shape[1] > 1:
            renamed[name] = [f"{name} {i}" for i in range(array.shape[1])]
            flat |= dict(zip(renamed[name], array.T, strict=True))
        else:
            flat[name] = array.reshape(len(array)) if array.ndim == 2 else list(cells)
    return flat, renamed


def _places(names: Shaped[np.ndarray, " rows"], part: str) -> Int[np.ndarray, " places"] | None:
    rows = np.flatnonzero(names == part)
    return rows if len(rows) else None


def _picture(array: Any) -> np.ndarray:
    """One array of its own size as bytes, [height, width] or [height, width, channel]."""
    pixels, _, _ = pixels_of(array[None])
    plain = pixels[0].permute(1, 2, 0).contiguous().numpy()
    return plain[..., 0] if plain.shape[2] == 1 else plain


def _letter(values: Any) -> str:
    """The letter of an array's or tensor's type, as NumPy names it."""
    return "u" if isinstance(values, Tensor) and values.dtype == torch.uint8 else getattr(values.dtype, "kind", "f")
