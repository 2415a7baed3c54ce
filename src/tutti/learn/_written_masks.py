"""Predicted masks as a file: a stack of pages, or arrays."""

import io
from pathlib import Path

import numpy as np
from jaxtyping import Float, Integer

from tutti.core import InputError

STACKS, ARRAYS = (".tif", ".tiff"), ".npz"


def check_name(path: Path) -> None:
    """InputError where masks cannot be written under a name."""
    if path.suffix.lower() not in (*STACKS, ARRAYS):
        raise InputError(
            f"The predictions of a segmentation are masks; {path.name} would hold lines of text.",
            fix="Name a file for masks: -o masks.tif (a page for each image), or -o masks.npz (with probabilities).",
        )


def masks_as_file(
    path: Path,
    masks: Integer[np.ndarray, "rows height width"],
    probabilities: Float[np.ndarray, "rows classes height width"],
) -> bytes:
    """The file's bytes, by its name's ending: an NPZ of `prediction` and `probability` (half precision), or a TIFF
    with a page for each image, in order; values as in the masks that were learnt from, colours as colours."""
    held = io.BytesIO()
    if path.suffix.lower() == ARRAYS:
        np.savez_compressed(held, prediction=masks, probability=probabilities.astype(np.float16))
        return held.getvalue()
    try:
        from PIL import Image
    except ImportError as error:
        raise InputError(
            "TIFF is written through Pillow, which is not installed.", fix="pip install pillow, or -o masks.npz"
        ) from error
    first, *others = [Image.fromarray(_page(mask)) for mask in masks]
    first.save(held, format="TIFF", save_all=True, append_images=others, compression="tiff_deflate")
    return held.getvalue()


def _page(mask: Integer[np.ndarray, "height width"]) -> np.ndarray:
    """Grey values as they are, 0xRRGGBB as three channels."""
    if mask.dtype == np.uint8:
        return mask
    return np.stack([mask >> shift & 255 for shift in (16, 8, 0)], axis=-1).astype(np.uint8)
