"""Masks beside images: a folder with a file for each image, or an array; and whether the images are one stack."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.nn import functional

from tutti.core import Finding, ImageShape, InputError, Rows
from tutti.data._images_arrays import is_array
from tutti.data._images_folder import is_image
from tutti.data._images_library import is_picture, mask_column, masks_in
from tutti.data._reading import Reading
from tutti.data._rows_of import read_rows
from tutti.data._sample import Found

MASK, SLICE = "mask", "slice"
LARGEST_SIDE = 512  # to which larger images are brought where the user names no size
COLOUR = 1 << 24  # added to 0xRRGGBB, as in tasks.Segmentation
FEWEST = 12  # images of which it can be seen whether neighbours are alike
ALIKE = 0.25  # by how much the thumbnails of neighbours correlate more than those of images far apart
_THUMBNAIL = 16
_TOLD = 5  # names that a message shows

Mask = Shaped[np.ndarray, "_height _width"]
Read = Callable[[Any, Reading], Found]


def has_masks(source: Any, reading: Reading) -> bool:
    """Whether a segmentation is asked for: by the option, by a dataset with a column of masks, or by a pair of images
    and an array of as many masks, or of lists of PIL images."""
    if reading.masks is not None or mask_column(source, reading.wishes.beside) is not None:
        return True
    if isinstance(source, tuple) and len(source) == 2 and all(isinstance(each, list) for each in source):
        return all(each and is_picture(each[0]) for each in source)
    if not (isinstance(source, tuple) and len(source) == 2 and all(is_array(each) for each in source)):
        return False
    images, masks = (tuple(each.shape) for each in source)
    return len(masks) == 3 and masks[1] > 1 and masks[2] > 1 and masks[1:] in (images[1:3], images[-2:])


def with_masks(source: Any, reading: Reading, read: Read) -> Found:
    """Images with their masks, in the natural order of their names (2 before 10).

    read: reads the images alone. Masks are found by the name of their image without its ending ("7.tif" has "7.png",
    else the only one that starts with "7_"), or by place where they are an array or a list. A mask has its image's
    size; where images are brought to another one (of unequal sizes, or longer than LARGEST_SIDE, or by `size`),
    masks follow, each pixel taking its nearest one's value. The column "slice" numbers the images. Where neighbours
    are alike (`neighbours`) it is the time, unless the user named one or a group: the last images are then held out,
    not some between the others.
    """
    masks = reading.masks
    column = mask_column(source, [*reading.wishes.beside, masks] if isinstance(masks, str) else reading.wishes.beside)
    if column is not None:
        masks = masks_in(source, column)
    elif masks is None:
        source, masks = source
    wishes = reading.wishes if column is None else replace(reading.wishes, beside=(column,))
    plain = replace(reading, masks=None, wishes=wishes)
    if isinstance(source, str | Path) and isinstance(masks, str | Path):
        found, each = _from_folders(Path(source), Path(masks), plain, read)
    elif isinstance(masks, str | Path):
        raise InputError(f"Masks in {str(masks)!r} need images in a folder.", fix="Give the masks as an array.")
    else:
        found = read(source, plain)
        each = _listed(masks)
        if len(each) != len(found.sample):
            raise InputError(f"{len(found.sample):,} images and {len(each):,} masks.", fix="Give one for each.")
        _check_sizes(source, each)
    shape = found.sample.shape
    assert isinstance(shape, ImageShape)
    dense = np.stack([_resized(mask, (shape.height, shape.width)) for mask in each])
    own = () if column is None else (column,)
    return _in_order(replace(found, dense=dense, targets=(MASK,), task="segmentation", own=own), reading)


def _from_folders(images: Path, masks: Path, reading: Reading, read: Read) -> tuple[Found, list[Mask]]:
    """The images of one folder, and the masks of the other in their order."""
    for folder in (images, masks):
        if not folder.is_dir():
            raise InputError(f"There is no folder {str(folder)!r}.", fix="Give a folder of images, and one of masks.")
    files = {f.relative_to(masks): f for f in sorted(masks.rglob("*")) if is_image(f) and f.is_file()}
    if not files:
        raise InputError(f"{masks} holds no mask.", fix="Give the folder whose files are named as the images.")
    if reading.size is None:
        reading = replace(reading, size=_usual_size(_size_of(file) for file in files.values()))
    found = read(images, reading)
    names = [PurePath(name) for name in found.columns["file"]]
    paired = _paired(names, list(files))
    lost = [str(name) for name, mask in zip(names, paired, strict=True) if mask is None]
    if lost and not (reading.skip and len(lost) < len(names)):
        raise InputError(
            f"{len(lost):,} of {len(names):,} images have no mask in {masks}: {_told(lost)}.",
            fix="A mask is named as its image. Images without one are left out by skip=True (--skip).",
        )
    if lost:
        found = _taken(found, np.flatnonzero([mask is not None for mask in paired]))
        message = f"{len(lost):,} images have no mask and are left out: {_told(lost)}."
        found = replace(
            found, findings=(*found.findings, Finding(kind="images-skipped", where=MASK, message=message))
        )
    kept = [(images / name, masks / mask) for name, mask in zip(names, paired, strict=True) if mask is not None]
    idle = len(files) - len(kept)
    if idle:
        message = f"{idle:,} of {len(files):,} masks belong to no image that was read."
        notice = Finding(kind="masks-unused", where=MASK, message=message, severity="notice")
        found = replace(found, findings=(*found.findings, notice))
    return found, [_read(image, mask) for image, mask in kept]


def _paired(names: Sequence[PurePath], masks: Sequence[PurePath]) -> list[PurePath | None]:
    """For each image the mask of its name, or None."""
    exact = {mask.with_suffix("").as_posix(): mask for mask in masks}
    longer: dict[str, list[PurePath]] = {}
    for key, mask in exact.items():
        for end in [m.start() for m in re.finditer("_", key)]:
            longer.setdefault(key[:end], []).append(mask)
    found = []
    for name in names:
        key = name.with_suffix("").as_posix()
        others = longer.get(key, [])
        found.append(exact.get(key, others[0] if len(others) == 1 else None))
    return found


def _usual_size(sizes: Any) -> tuple[int, int]:
    """The size that all share, or the medians; scaled down to LARGEST_SIDE pixels on the longer side."""
    heights, widths = zip(*sizes, strict=True)
    height, width = float(np.median(heights)), float(np.median(widths))
    factor = min(1.0, LARGEST_SIDE / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))


def _size_of(file: Path) -> tuple[int, int]:
    with _opened(file) as image:
        return image.height, image.width


def _opened(file: Path) -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise InputError(
            "Images are read through Pillow, which is not installed.", fix="pip install pillow"
        ) from error
    try:
        return Image.open(file)
    except Exception as error:  # decoders raise errors of every kind
        raise InputError(f"The mask {str(file)!r} cannot be read: {error}.", fix="Mend or remove it.") from error


def _read(image: Path, mask: Path) -> Mask:
    """A mask file, checked to have the size of its image."""
    sizes = _size_of(image), _size_of(mask)
    if sizes[0] != sizes[1]:
        (a, b), (c, d) = sizes
        raise InputError(
            f"The image {image.name!r} is {a} × {b} pixels, its mask {mask.name!r} {c} × {d}.",
            fix="A mask has one value for each pixel of its image.",
        )
    with _opened(mask) as opened:
        try:
            return _values(np.asarray(opened.convert("L") if opened.mode == "LA" else opened))
        except (OSError, SyntaxError, ValueError) as error:
            raise InputError(f"The mask {str(mask)!r} cannot be read: {error}.", fix="Mend or remove it.") from error


def _values(array: Shaped[np.ndarray, "..."]) -> Mask:
    """One whole number for each pixel: as it is, or COLOUR + 0xRRGGBB where a pixel has a colour."""
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim == 3 and array.shape[2] in (3, 4):
        red, green, blue = (array[..., k].astype(np.int32) for k in range(3))
        if bool((red == green).all() and (green == blue).all()):
            return red.astype(np.uint8)
        return np.asarray(COLOUR + (red << 16) + (green << 8) + blue, np.int32)
    if array.ndim != 2:
        raise InputError(f"A mask of shape {list(array.shape)}.", fix="Give [height, width] or [height, width, 3].")
    if array.dtype.kind == "f" and bool((array == np.round(array)).all()):
        array = array.astype(np.int32)
    return array.astype(np.uint8) if array.dtype.kind == "b" else array


def _listed(masks: Any) -> list[Mask]:
    """Masks from an array, a tensor, or a list of arrays or pictures; colours where they are [height, width, 3]."""
    if isinstance(masks, Tensor):
        masks = masks.detach().cpu().numpy()
    if isinstance(masks, np.ndarray) and masks.ndim == 4 and masks.shape[1] == 1:
        masks = masks[:, 0]
    if not isinstance(masks, np.ndarray | Sequence) or not len(masks):
        raise InputError(
            f"Masks of type {type(masks).__name__!r}.", fix="Give a folder, or an array [n, height, width]."
        )
    return [_values(each.detach().cpu().numpy() if isinstance(each, Tensor) else np.asarray(each)) for each in masks]


def _check_sizes(source: Any, masks: Sequence[Mask]) -> None:
    """Raises where an array of images and a mask differ in size."""
    for row, mask in enumerate(masks):
        image: Any = source[row] if isinstance(source, np.ndarray | Tensor | list) else None
        shape = (image.height, image.width) if is_picture(image) else tuple(getattr(image, "shape", mask.shape))
        if mask.shape not in (shape[:2], shape[-2:]):
            raise InputError(
                f"Image {row} has shape {list(shape)}, its mask {list(mask.shape)}.",
                fix="A mask has one value for each pixel of its image.",
            )


def _resized(mask: Mask, size: tuple[int, int]) -> Mask:
    """Each pixel of the new grid takes the value of the old one in which its centre lies."""
    if mask.shape == size:
        return mask
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.int64) for new, old in zip(size, mask.shape, strict=True)
    )
    return np.asarray(mask[rows[:, None], columns])


def _in_order(found: Found, reading: Reading) -> Found:
    """The rows in the natural order of their names, numbered; as a stack where neighbours are alike."""
    names = [str(name) for name in found.columns.get("file", [])]
    if names:
        found = _taken(found, np.array(sorted(range(len(names)), key=lambda i: _natural(names[i])), dtype=np.int64))
    rows = len(found.sample)
    found = replace(found, columns={**found.columns, SLICE: np.arange(rows, dtype=np.float64)})
    numbered = len({re.sub(r"\d+(?=\D*$)", "", name) for name in names}) <= 1
    declared = {"time", "group"} & set(reading.wishes.roles) or found.test is not None
    if not numbered or declared or rows < FEWEST:
        return found
    near, far = neighbours(found.sample.inputs()[0])
    if near - far < ALIKE:
        return found
    message = (
        f"Neighbouring images are alike (their thumbnails correlate by {near:.2f}, those far apart by {far:.2f}): "
        "they are taken for slices of one stack, whose last part is held out. --group or --time COLUMN say otherwise."
    )
    notice = Finding(kind="image-stack", where=SLICE, message=message, severity="notice")
    return replace(found, time=SLICE, findings=(*found.findings, notice))


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Orders names by their numbers where these stand: 2 before 10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]


def neighbours(pixels: Tensor | Rows) -> tuple[float, float]:
    """The mean correlation of thumbnails (grey, 16 × 16) of images next to each other, and of those at least a third
    of the images apart. Of more than 512 images the first 512 are looked at."""
    rows = min(len(pixels), 512)
    grey = read_rows(pixels, np.arange(rows)).float().mean(1, keepdim=True)
    thumbs: Float[Tensor, "row place"] = functional.adaptive_avg_pool2d(grey, _THUMBNAIL).flatten(1)
    thumbs = functional.normalize(thumbs - thumbs.mean(1, keepdim=True), dim=1)
    alike = (thumbs @ thumbs.T).numpy()
    far = alike[np.triu_indices(rows, max(2, rows // 3))]
    return float(np.diagonal(alike, 1).mean()), float(far.mean())


def _taken(found: Found, rows: Int[np.ndarray, " taken"]) -> Found:
    """These rows of everything."""
    columns: Mapping[str, Any] = {n: [values[i] for i in rows] for n, values in found.columns.items()}
    dense = None if found.dense is None else found.dense[rows]
    place = np.full(len(found.sample), -1)
    place[rows] = np.arange(len(rows))

    def moved(some: Int[np.ndarray, " _some"] | None) -> Int[np.ndarray, " _some"] | None:
        return None if some is None else np.sort(place[some][place[some] >= 0])

    return replace(
        found,
        sample=found.sample.take(rows),
        columns=columns,
        dense=dense,
        test=moved(found.test),
        validation=moved(found.validation),
    )


def _told(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:_TOLD])) + (", …" if len(names) > _TOLD else "")
