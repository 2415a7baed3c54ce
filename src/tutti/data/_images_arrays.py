"""Arrays of images, in any of their usual layouts and number types, become pixels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from tutti.core import Finding, ImageShape, InputError

CHANNELS = (1, 3, 4)  # numbers of channels by which an axis is known for theirs
Span = tuple[float, float]


def is_array(value: Any) -> bool:
    """Whether this is a NumPy array or a torch tensor."""
    return isinstance(value, np.ndarray | Tensor)


def looks_like_images(values: Any) -> bool:
    """Whether an array is more likely to hold images than anything else.

    Four axes, one of them of 1, 3 or 4 channels; three axes of bytes or bits; or three axes of floats in [0, 1] whose
    last two are equal and at least 8.
    """
    if not is_array(values) or not len(values):
        return False
    kind = str(values.dtype).removeprefix("torch.")
    if values.ndim == 4:
        return values.shape[1] in CHANNELS or values.shape[3] in CHANNELS
    if values.ndim != 3 or min(values.shape[1:]) < 8:
        return False
    if kind in ("uint8", "bool"):
        return True
    square = values.shape[1] == values.shape[2]
    return kind.startswith("float") and square and bool(values.min() >= 0) and bool(values.max() <= 1)


def pixels_of(
    values: Shaped[np.ndarray, "rows ..."] | Shaped[Tensor, "rows ..."],
    *,
    span: Span | None = None,
    known: bool = False,
) -> tuple[UInt8[Tensor, "rows channel height width"], Span | None, list[Finding]]:
    """[row, height, width], [row, height, width, channel] or [row, channel, height, width] as pixels.

    Where both the second and the last axis may be the channels', a tensor has them second, an array last. Bytes stay
    as they are, bits become 0 and 255, floats in [0, 1] are multiplied by 255 and rounded; of other numbers the
    smallest and the largest become 0 and 255 (`span`, which new images are then read by: `known`), whole numbers in
    0 … 255 stay. Alpha channels are left out. Raises InputError for other shapes, and for missing numbers.
    """
    first = isinstance(values, Tensor)
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
    array = _channels_first(array, first)
    found: list[Finding] = []
    if array.shape[1] == 4:
        array = array[:, :3]
        message = "The fourth channel is taken for transparency, and left out."
        found.append(Finding(kind="image-transparency", where="images", message=message, severity="notice"))
    if array.dtype == np.uint8 and span is None:
        return torch.from_numpy(np.ascontiguousarray(array)), None, found
    if array.dtype.kind not in "bfiu":
        raise InputError(f"The images hold {array.dtype} values.", fix="Give numbers: bytes, or floats in [0, 1].")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError("The images hold missing or infinite values.", fix="Give finite numbers.")
    if not known:
        span = _span(array)
        if span not in (None, (0.0, 1.0)):
            message = f"The numbers from {span[0]:.6g} to {span[1]:.6g} become 256 levels."
            found.append(Finding(kind="image-levels", where="images", message=message, severity="notice"))
    return torch.from_numpy(_bytes(array, span)), span, found


def _channels_first(array: Shaped[np.ndarray, "..."], first: bool) -> Shaped[np.ndarray, "rows channel height width"]:
    if array.ndim == 3:
        return array[:, None]
    if array.ndim == 4:
        second, last = array.shape[1] in CHANNELS, array.shape[3] in CHANNELS
        if last and not (second and first):
            return rearrange(array, "row height width channel -> row channel height width")
        if second:
            return array
    raise InputError(
        f"Images of shape {array.shape}.",
        fix="Give [row, height, width], [row, height, width, channel] or [row, channel, height, width], with 1, 3 or "
        "4 channels.",
    )


def _span(array: Shaped[np.ndarray, "..."]) -> Span | None:
    """Which values become 0 and 255; None where they are bytes already."""
    low, high = float(array.min()), float(array.max())
    if array.dtype.kind == "b" or (array.dtype.kind == "f" and low >= 0 and high <= 1):
        return (0.0, 1.0)
    if low >= 0 and high <= 255 and (array.dtype.kind in "iu" or bool((array == np.round(array)).all())):
        return None
    return (low, high)


def _bytes(array: Shaped[np.ndarray, "rows ..."], span: Span | None) -> UInt8[np.ndarray, "rows ..."]:
    low, high = span or (0.0, 255.0)
    levels = np.empty(array.shape, dtype=np.uint8)
    for row in range(0, len(array), 4096):  # a float copy of all would be eight times as large
        part = array[row : row + 4096].astype(np.float64)
        levels[row : row + 4096] = np.round((part - low) * (255 / ((high - low) or 1.0))).clip(0, 255)
    return levels


def fitted(
    pixels: UInt8[Tensor, "rows channel height width"], shape: ImageShape
) -> UInt8[Tensor, "rows channel height width"]:
    """Pixels in another size or number of channels: means of areas or lines between pixels, grey ↔ colour."""
    if pixels.shape[1] != shape.channels:
        if shape.channels == 1:
            weight = torch.tensor([0.299, 0.587, 0.114])  # ITU-R 601, as Pillow's
            pixels = torch.einsum("nchw,c->nhw", pixels.float(), weight).round().to(torch.uint8)[:, None]
        elif pixels.shape[1] == 1:
            pixels = pixels.expand(-1, shape.channels, -1, -1).contiguous()
        else:
            raise InputError(f"The images have {pixels.shape[1]} channels; expected {shape.channels}.")
    if pixels.shape[2:] == (shape.height, shape.width):
        return pixels
    size = (shape.height, shape.width)
    parts = [
        torch.nn.functional.interpolate(part.float(), size, mode="bilinear", antialias=True).round().clamp(0, 255)
        for part in pixels.split(1024)
    ]
    return torch.cat([part.to(torch.uint8) for part in parts])


def shaped(arrays: Sequence[Any]) -> Float[np.ndarray, "..."] | Shaped[np.ndarray, "..."] | None:
    """A list of arrays or tensors of one shape as one array; None where they differ."""
    parts = [each.detach().cpu().numpy() if isinstance(each, Tensor) else np.asarray(each) for each in arrays]
    if len({(part.shape, part.dtype) for part in parts}) != 1:
        return None
    return np.stack(parts)
