"""Images in objects of other libraries, known by what they offer: Hugging Face datasets, torchvision, PIL."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tutti.core import InputError
from tutti.data._images_npz import ORDER, PARTS, Part


def is_picture(value: Any) -> bool:
    """Whether this is a PIL image."""
    return hasattr(value, "getexif") and hasattr(value, "convert") and hasattr(value, "size")


def image_column(source: Any) -> str | None:
    """The first column of images of a Hugging Face dataset; None where it is none, or has none."""
    if not (hasattr(source, "column_names") and isinstance(getattr(source, "features", None), Mapping)):
        return None
    return next((name for name, kind in source.features.items() if type(kind).__name__ == "Image"), None)


def holds_pictures(source: Any) -> bool:
    """Whether this is a Hugging Face dataset with images, or several by the names of their parts."""
    if isinstance(source, Mapping) and source and all(str(name).split("_")[0].lower() in PARTS for name in source):
        return all(image_column(part) is not None for part in source.values())
    return image_column(source) is not None


def is_torchvision(source: Any) -> bool:
    """Whether this is a torchvision dataset that holds all its images: MNIST, CIFAR and their kin."""
    home = type(source).__module__
    return home.startswith("torchvision.") and hasattr(source, "data") and hasattr(source, "targets")


def parts_of_library(source: Any) -> list[Part]:
    """The parts of a Hugging Face dataset, in ORDER; labels that are numbers of named classes become the names."""
    if not isinstance(source, Mapping):
        return [_part("", source)]
    named = {PARTS[str(name).split("_")[0].lower()]: part for name, part in source.items()}
    if len(named) < len(source):
        raise InputError(
            f"The parts {', '.join(map(str, source))} name one part twice.",
            fix="Give at most train, validation, test.",
        )
    return [_part(name, named[name]) for name in ORDER if name in named]


def _part(name: str, dataset: Any) -> Part:
    column = image_column(dataset)
    assert column is not None
    values = {}
    for other, kind in dataset.features.items():
        if other == column:
            continue
        cells = list(dataset[other])
        if hasattr(kind, "int2str"):  # −1 stands for no label
            cells = [kind.int2str(cell) if cell is not None and cell >= 0 else None for cell in cells]
        if cells and np.ndim(cells[0]) == 0:
            values[other] = np.asarray(cells, dtype=object)
    return Part(name, list(dataset[column]), values)
