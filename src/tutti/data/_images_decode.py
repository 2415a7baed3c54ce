"""Images of any format, size and mode become pixels of one size and one number of channels."""

import io
import os
import tempfile
import warnings
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from tutti.core import Finding, InputError, Rows
from tutti.data._mapped import MappedRows
from tutti.data._rows_of import take_rows

LARGEST_SIDE = 128  # to which larger images are brought where the user names no size
MOST_PIXELS = 2**26  # of one image; a small file may claim to hold more than memory does
IN_MEMORY = 2**30  # bytes of pixels, above which they lie in a file
BLOCK = 64  # images that a thread takes at a time

Item = Any  # a path, the bytes of a file, a PIL image, or an array [height, width] or [height, width, channel]


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """pixels [row, channel, height, width], uint8. kept: which items they are (all but those that were skipped)."""

    pixels: Tensor | Rows
    kept: Int[np.ndarray, " rows"]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class _Facts:
    """What an image's head tells."""

    height: int
    width: int
    grey: bool
    alpha: bool = False
    frames: int = 1
    turned: bool = False


def decode(
    items: Sequence[Item],
    names: Sequence[str],
    *,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    skip: bool = False,
    largest: int = LARGEST_SIDE,
) -> Decoded:
    """Decodes all items.

    size: (height, width) of the result; without it the size that all share, else the medians of heights and widths,
    scaled down to `largest` pixels on the longer side (one factor for both). Images of another size are resampled
    (area-aware bilinear), whatever their proportions. channels: 1 (grey) or 3; without it 1 where all are grey.
    A transparent image is laid on white; of several frames the first is taken; a camera's note on orientation is
    obeyed. names: what errors call the items. skip: leaves out what cannot be read.
    Raises InputError for images that cannot be read, and where none is left.
    """
    with _pillow(), ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        heads = _each(pool, _facts, items)
        sound = np.array([isinstance(head, _Facts) for head in heads], dtype=bool)
        facts = [head for head in heads if isinstance(head, _Facts)]
        broken = {i: str(head) for i, head in enumerate(heads) if not isinstance(head, _Facts)}
        _refuse_broken(broken, names, skip, total=len(items))
        channels = channels or (1 if all(f.grey for f in facts) else 3)
        size = size or _common_size(facts, largest)
        kept = np.flatnonzero(sound)
        store = _Store((len(kept), channels, *size))
        chosen = kept.tolist()
        fill = lambda place: _fill(store.array[place], items[chosen[place]], facts[place], size)  # noqa: E731
        failed = {i: str(why) for i, why in enumerate(_each(pool, fill, range(len(kept)))) if why is not None}
    broken |= {int(kept[i]): why for i, why in failed.items()}
    _refuse_broken(broken, names, skip, total=len(items))
    pixels = store.rows()
    if failed:
        still = np.setdiff1d(np.arange(len(kept)), list(failed))
        pixels, kept = take_rows(pixels, still), kept[still]
    return Decoded(pixels=pixels, kept=kept, findings=tuple(_notices(facts, size, channels, broken, names)))


@contextmanager
def _pillow():  # type: ignore[no-untyped-def]  # a context without a value
    """Pillow at hand, its warning of too many pixels an error."""
    try:
        from PIL import Image
    except ImportError as error:
        raise InputError(
            "Images are read through Pillow, which is not installed.", fix="pip install pillow"
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _each(pool: ThreadPoolExecutor, run: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """`run` of every item, or what it raises: decoders raise errors of every kind. Threads take many at a time."""

    def block(first: int) -> list[Any]:
        found: list[Any] = []
        for item in items[first : first + BLOCK]:
            try:
                found.append(run(item))
            except Exception as error:
                found.append(error)
        return found

    return list(chain.from_iterable(pool.map(block, range(0, len(items), BLOCK))))


def _opened(item: Item) -> Any:
    """An item as a PIL image, not yet decoded; the caller closes it."""
    from PIL import Image

    if isinstance(item, str | Path):
        if not os.path.getsize(item):
            raise ValueError("0 bytes")
        return Image.open(item)
    if isinstance(item, bytes | bytearray | memoryview):
        if not len(item):
            raise ValueError("0 bytes")
        return Image.open(io.BytesIO(item))
    if isinstance(item, np.ndarray):
        return Image.fromarray(item[..., 0] if item.ndim == 3 and item.shape[2] == 1 else item)
    return item.copy()


_ORIENTATION = 0x0112  # the EXIF tag
_SIDEWAYS = (5, 6, 7, 8)  # its values that swap height and width


def _facts(item: Item) -> _Facts:
    with _opened(item) as image:
        width, height = image.size
        if width * height > MOST_PIXELS:
            raise ValueError(f"{width:,} × {height:,} pixels are more than the limit of {MOST_PIXELS:,}")
        if not width * height:
            raise ValueError("no pixels")
        orientation = image.getexif().get(_ORIENTATION, 1)
        if orientation in _SIDEWAYS:
            width, height = height, width
        grey = image.mode in ("1", "L", "LA", "F") or image.mode.startswith("I")
        alpha = image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info
        return _Facts(height, width, grey, alpha, getattr(image, "n_frames", 1), orientation != 1)


def _fill(row: np.ndarray, item: Item, facts: _Facts, size: tuple[int, int]) -> None:
    """Decodes one image into its row [channel, height, width] of the store."""
    from PIL import Image, ImageOps

    height, width = size
    mode = "L" if len(row) == 1 else "RGB"
    with _opened(item) as opened:
        opened.draft(mode, (2 * width, 2 * height))  # JPEG alone: decodes a smaller one
        image = ImageOps.exif_transpose(opened) if facts.turned else opened
        if image.mode.startswith("I") or image.mode == "F":
            image = _from_deep(image)
        if facts.alpha:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image)
        if image.mode != mode:
            image = image.convert(mode)
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        array = np.asarray(image)
    row[:] = array[None] if len(row) == 1 else array.transpose(2, 0, 1)


def _from_deep(image: Any) -> Any:
    """16-bit numbers by their upper byte; 32-bit ones and floats as they are, cut to 0 … 255."""
    from PIL import Image

    values = np.asarray(image)
    deep = image.mode.startswith("I;16") or (image.mode == "I" and values.max(initial=0) > 255)
    return Image.fromarray((values // 256 if deep else values).clip(0, 255).astype(np.uint8))


def _common_size(facts: Sequence[_Facts], largest: int) -> tuple[int, int]:
    height, width = (round(float(np.median([getattr(f, side) for f in facts]))) for side in ("height", "width"))
    factor = min(1.0, largest / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))


class _Store:
    """Room for the pixels: in memory, or in a temporary file where they are many."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.folder: tempfile.TemporaryDirectory[str] | None = None
        if np.prod(shape, dtype=np.int64) <= IN_MEMORY:
            self.array = np.empty(shape, dtype=np.uint8)
            return
        self.folder = tempfile.TemporaryDirectory(prefix="tutti-", ignore_cleanup_errors=True)
        self.array = np.lib.format.open_memmap(self._path(), mode="w+", dtype=np.uint8, shape=shape)

    def _path(self) -> Path:
        assert self.folder is not None
        return Path(self.folder.name) / "pixels.npy"

    def rows(self) -> Tensor | Rows:
        """What was filled in, for an engine; the file goes when nobody reads it any more."""
        if self.folder is None:
            return torch.from_numpy(self.array)
        assert isinstance(self.array, np.memmap)
        self.array.flush()
        rows = MappedRows(self._path())
        weakref.finalize(rows, self.folder.cleanup)
        return rows


def _refuse_broken(broken: dict[int, str], names: Sequence[str], skip: bool, *, total: int) -> None:
    if not broken or (skip and len(broken) < total):
        return
    raise InputError(
        f"{len(broken):,} of {total:,} images cannot be read: {_listed(broken, names)}.",
        fix="Mend or remove them" + ("." if len(broken) == total else ", or leave them out: skip=True (--skip)."),
    )


def _listed(broken: dict[int, str], names: Sequence[str]) -> str:
    parts = [f"{names[i]!r} ({why.splitlines()[0][:80] if why else 'damaged'})" for i, why in sorted(broken.items())]
    return ", ".join(parts[:5]) + (", …" if len(parts) > 5 else "")


def _notices(
    facts: Sequence[_Facts], size: tuple[int, int], channels: int, broken: dict[int, str], names: Sequence[str]
) -> list[Finding]:
    found = []
    if broken:
        message = f"{len(broken):,} images cannot be read and are left out: {_listed(broken, names)}."
        found.append(Finding(kind="images-skipped", where="images", message=message))
    sizes = {(f.height, f.width) for f in facts}
    if sizes != {size}:
        spans = [(min(s[i] for s in sizes), max(s[i] for s in sizes)) for i in (0, 1)]
        (low, high), (narrow, wide) = spans
        were = (
            f"{low} × {narrow} pixels" if len(sizes) == 1 else f"{low} to {high} pixels high, {narrow} to {wide} wide"
        )
        message = f"The images are {were}; they are brought to {size[0]} × {size[1]} (size=, --size, sets another)."
        found.append(Finding(kind="image-sizes", where="images", message=message, severity="notice"))
    grey = sum(f.grey for f in facts)
    if 0 < grey < len(facts):
        message = (
            f"{grey:,} of {len(facts):,} images are grey; all are read {'in colour' if channels == 3 else 'grey'}."
        )
        found.append(Finding(kind="image-channels", where="images", message=message, severity="notice"))
    for kind, count, what in (
        ("image-transparency", sum(f.alpha for f in facts), "have transparent parts, which are laid on white"),
        ("image-frames", sum(f.frames > 1 for f in facts), "hold several frames; the first is taken"),
    ):
        if count:
            message = f"{count:,} of {len(facts):,} images {what}."
            found.append(Finding(kind=kind, where="images", message=message, severity="notice"))
    return found


def as_image(row: UInt8[Tensor, "channel height width"]) -> Any:
    """One row of pixels as a PIL image."""
    from PIL import Image

    array = row.numpy()
    return Image.fromarray(array[0] if len(array) == 1 else np.ascontiguousarray(array.transpose(1, 2, 0)))
