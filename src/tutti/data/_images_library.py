"""Images in objects of other libraries, known by what they offer: Hugging Face datasets, torchvision, PIL."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tutti.core import InputError
from tutti.data._images_npz import ORDER, PARTS, Part

MASKS = (
    "mask", "masks", "annotation", "annotations", "segmentation", "segmentation_mask", "segmentation_map", "seg",
    "gt", "ground_truth", "label", "labels", "target",
)  # fmt: skip
"""What a column of images is called that are masks of those in another."""


def is_picture(value: Any) -> bool:
    """Whether this is a PIL image."""
    return hasattr(value, "getexif") and hasattr(value, "convert") and hasattr(value, "size")


def _image_columns(source: Any) -> list[str]:
    if not (hasattr(source, "column_names") and isinstance(getattr(source, "features", None), Mapping)):
        return []
    return [name for name, kind in source.features.items() if type(kind).__name__ == "Image"]


def image_column(source: Any, mask: str | None = None) -> str | None:
    """The first column of images of a Hugging Face dataset, that of masks apart; None where there is none."""
    return next((name for name in _image_columns(source) if name != mask), None)


def mask_column(source: Any, asked: Sequence[Any] = ()) -> str | None:
    """The column of masks of a dataset (or of the first of its parts) with several columns of images: one that is
    `asked` for, else the only one with a name of MASKS, else the second where there are two and no other column."""
    first = next(iter(source.values())) if isinstance(source, Mapping) and source else source
    found = _image_columns(first)
    if len(found) < 2:
        return None
    known = [name for name in found if name.lower() in MASKS]
    alone = found[1:] if len(found) == len(first.column_names) == 2 else []
    chosen = next((names for names in ([n for n in found if n in asked], known, alone) if len(names) == 1), [None])
    return chosen[0]


def masks_in(source: Any, column: str) -> list[Any]:
    """The masks of a dataset, part after part as `parts_of_library` has them."""
    parts = _named(source) if isinstance(source, Mapping) else {"": source}
    return [mask for name in ORDER if name in parts for mask in parts[name][column]]


def holds_pictures(source: Any) -> bool:
    """Whether this is a Hugging Face dataset with images, or several by the names of their parts."""
    if isinstance(source, Mapping) and source and all(str(name).split("_")[0].lower() in PARTS for name in source):
        return all(image_column(part) is not None for part in source.values())
    return image_column(source) is not None


def is_torchvision(source: Any) -> bool:
    """Whether this is a torchvision dataset that holds all its images: MNIST, CIFAR and their kin."""
    home = type(source).__module__
    return home.startswith("torchvision.") and hasattr(source, "data") and hasattr(source, "targets")


def parts_of_library(source: Any, mask: str | None = None) -> list[Part]:
    """The parts of a Hugging Face dataset, in ORDER; labels that are numbers of named classes become the names."""
    if not isinstance(source, Mapping):
        return [_part("", source, mask)]
    named = _named(source)
    return [_part(name, named[name], mask) for name in ORDER if name in named]


def _named(source: Mapping[Any, Any]) -> dict[str, Any]:
    named = {PARTS[str(name).split("_")[0].lower()]: part for name, part in source.items()}
    if len(named) < len(source):
        raise InputError(
            f"The parts {', '.join(map(str, source))} name one part twice.",
            fix="Give at most train, validation, test.",
        )
    return named


def _part(name: str, dataset: Any, mask: str | None) -> Part:
    column = image_column(dataset, mask)
    assert column is not None
    values = {}
    for other, kind in dataset.features.items():
        if other == column or type(kind).__name__ == "Image":
            continue
        cells = list(dataset[other])
        if hasattr(kind, "int2str"):  # −1 stands for no label
            cells = [kind.int2str(cell) if cell is not None and cell >= 0 else None for cell in cells]
        if cells and np.ndim(cells[0]) == 0:
            values[other] = np.asarray(cells, dtype=object)
    return Part(name, list(dataset[column]), values)
