"""A folder of images: what its files are, and what the folders in it say."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from tutti.core import Finding, InputError
from tutti.data._file_names import FileNames
from tutti.data._images_npz import PARTS

SUFFIXES = frozenset(
    (
        ".png",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".bmp",
        ".dib",
        ".gif",
        ".webp",
        ".tif",
        ".tiff",
        ".pgm",
        ".ppm",
        ".pnm",
    )
)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """files: relative paths, sorted. parts: for each file "", "train", "validation" or "test". columns: by name."""

    files: tuple[PurePath, ...]
    parts: tuple[str, ...]
    columns: dict[str, list[str]]
    findings: tuple[Finding, ...]


def is_image(path: Path | PurePath) -> bool:
    return path.suffix.lower() in SUFFIXES


def has_images(folder: Path, *, looked_at: int = 2000) -> bool:
    """Whether most of the first files in a folder, or in those in it, are images."""
    images = others = 0
    for _, file in zip(range(looked_at), _walk(folder), strict=False):
        images, others = images + is_image(file), others + (not is_image(file))
    return images > others


def _walk(folder: Path):  # type: ignore[no-untyped-def]  # yields relative paths
    """All files below a folder, hidden ones apart, in an order of their own."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        for name in sorted(files):
            if not name.startswith(".") and name != "Thumbs.db":
                yield Path(place, name).relative_to(folder)


def list_folder(folder: Path, *, target_from: str | None, labelled: bool) -> Listing:
    """The images of a folder, and columns from the names of folders and files.

    Folders "train", "val" or "validation", "test" set parts apart. Below them the first folder's name is the column
    "label", deeper ones' "folder 2", "folder 3", … where all files lie as deep; a single folder that holds all others
    says nothing and is passed through. target_from: names columns by a pattern instead (see FileNames). "file" is the
    path within the folder. labelled: whether there must be labels.
    """
    every = list(_walk(folder))
    files = [file for file in every if is_image(file)]
    if not files:
        raise InputError(
            f"{folder} holds no image ({len(every):,} other files).", fix=f"Read are {', '.join(sorted(SUFFIXES))}."
        )
    findings = _notice_others([file for file in every if not is_image(file)])
    inner = [file.parts[:-1] for file in files]
    while all(len(parts) > 1 for parts in inner) and len({parts[0] for parts in inner}) == 1:
        inner = [parts[1:] for parts in inner]
    parts = [""] * len(files)
    tops = {parts[0].lower() for parts in inner if parts}
    if all(inner) and len(tops) > 1 and tops <= PARTS.keys():
        parts = [PARTS[each[0].lower()] for each in inner]
        inner = [each[1:] for each in inner]
    columns = {"file": [file.as_posix() for file in files]}
    if target_from is not None:
        columns = FileNames(target_from).columns(files) | columns
    elif all(inner):
        depth = len(inner[0]) if len({len(each) for each in inner}) == 1 else 1
        names = ["label", *(f"folder {level}" for level in range(2, depth + 1))]
        columns = {name: [each[level] for each in inner] for level, name in enumerate(names)} | columns
    if labelled and target_from is None:
        _check_labels(folder, columns.get("label"), inner)
    return Listing(files=tuple(files), parts=tuple(parts), columns=columns, findings=tuple(findings))


def _check_labels(folder: Path, labels: Sequence[str] | None, inner: Sequence[tuple[str, ...]]) -> None:
    """Refuses folders that do not say of every image what it shows."""
    if labels is None:
        loose = sum(not each for each in inner)
        raise InputError(
            f"{loose:,} of {len(inner):,} images in {folder} lie in no folder of a class.",
            fix="Put the images of each class into a folder of its name, or name the label in file names: "
            'target_from="{label}_*.png" (--target-from).',
        )
    counts = Counter(labels)
    if len(counts) < 2:
        raise InputError(
            f"{folder} holds one class only, {labels[0]!r}.", fix="Give one folder for each class, at least two."
        )
    single = sorted(label for label, count in counts.items() if count == 1)
    if single:
        shown = ", ".join(map(repr, single[:5])) + (", …" if len(single) > 5 else "")
        raise InputError(
            f"There is one image only of {shown}: it cannot both train and judge.",
            fix="Add images, or take the folder away.",
        )


def _notice_others(others: Sequence[PurePath]) -> list[Finding]:
    if not others:
        return []
    shown = ", ".join(repr(path.as_posix()) for path in others[:5]) + (", …" if len(others) > 5 else "")
    message = f"{len(others):,} files are no images, by their names, and are not read: {shown}."
    return [Finding(kind="other-files", where="images", message=message, severity="notice")]
