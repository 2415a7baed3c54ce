"""A small picture of a segmentation for the report: the image, its mask, what was predicted, and the errors."""

import base64
import io
from typing import Any

import numpy as np
from einops import rearrange
from jaxtyping import Integer, UInt8

from tutti.core import InputError

SIDE = 160  # pixels of a panel's longer side, at most
UNLABELLED = 255
_COLOURS = ((0, 0, 0), (0, 158, 115), (230, 159, 0), (86, 180, 233), (204, 121, 167), (240, 228, 66), (0, 114, 178))
_WRONG, _TINT, _LEVELS = (213, 94, 0), 0.45, 64


def overlay(
    pixels: UInt8[np.ndarray, "channel height width"],
    said: Integer[np.ndarray, "height width"],
    truth: Integer[np.ndarray, "height width"] | None = None,
) -> dict[str, Any]:
    """{"kind": "image", "png": base64, "panels": […]}: panels side by side, each at most 160 pixels a side.

    said, truth: class numbers; 255 in the truth where a pixel is not labelled. Panels: "image"; "mask" (where there
    is a truth) and "prediction", the image tinted by class in colours that the colour-blind tell apart (class 0, the
    background, is left as it is; after seven classes colours repeat); "errors", where they differ.
    """
    from PIL import Image

    if pixels.shape[1:] != said.shape or (truth is not None and truth.shape != said.shape):
        raise InputError(f"An image of shape {list(pixels.shape)} and masks of shape {list(said.shape)}.")
    every = -(-max(said.shape) // SIDE)
    base = np.repeat(pixels[:1], 3, axis=0) if len(pixels) < 3 else pixels[:3]
    plain = _shrunk(base, every).transpose(1, 2, 0)
    panels = {"image": plain}
    said = said[::every, ::every]
    if truth is not None:
        truth = truth[::every, ::every]
        panels["mask"] = _tinted(plain, truth)
    panels["prediction"] = _tinted(plain, said)
    if truth is not None:
        wrong = (said != truth) & (truth != UNLABELLED)
        panels["errors"] = np.where(wrong[..., None], np.array(_WRONG, np.uint8), plain)
    gap = np.full((plain.shape[0], 4, 3), 255, np.uint8)
    strip = np.concatenate([part for panel in panels.values() for part in (panel, gap)][:-1], axis=1)
    file = io.BytesIO()
    Image.fromarray(strip).quantize(_LEVELS).save(file, "PNG")
    return {"kind": "image", "png": base64.b64encode(file.getvalue()).decode("ascii"), "panels": list(panels)}


def _shrunk(
    pixels: UInt8[np.ndarray, "colour height width"], every: int
) -> UInt8[np.ndarray, "colour _height _width"]:
    """Means of blocks of `every` × `every` pixels; what is left over at the ends counts with its edge repeated."""
    padded = np.pad(pixels, ((0, 0), (0, -pixels.shape[1] % every), (0, -pixels.shape[2] % every)), mode="edge")
    blocks = rearrange(padded.astype(np.float64), "c (h a) (w b) -> c h w a b", a=every, b=every)
    return np.asarray(blocks.mean((3, 4)).round(), np.uint8)


def _tinted(
    plain: UInt8[np.ndarray, "height width 3"], classes: Integer[np.ndarray, "height width"]
) -> UInt8[np.ndarray, "height width 3"]:
    colours = np.array(_COLOURS, np.float64)
    known = (classes > 0) & (classes != UNLABELLED)
    place = np.where(known, 1 + (classes.astype(np.int64) - 1) % (len(colours) - 1), 0)
    mixed = (1 - _TINT) * plain + _TINT * colours[place]
    return np.where(known[..., None], mixed.round(), plain).astype(np.uint8)
