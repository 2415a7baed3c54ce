"""Checkpoints of a run: checkpoint/step-N/ holds tensors, a state and their checksums, all or nothing."""

import hashlib
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from tutti.core import InputError
from tutti.runs._atomic import TEMPORARY, disk_errors, sync_folder, write_atomic
from tutti.runs._json import decode, encode
from tutti.runs._tensors import Array, decode_tensors, encode_tensors

FOLDER = "checkpoint"
KEPT = 2


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What was kept of one step."""

    step: int
    tensors: dict[str, Tensor]  # on the CPU
    state: dict[str, Any]


def write(run: Path, step: int, tensors: Mapping[str, Array], state: Mapping[str, Any]) -> None:
    """Writes the set under a temporary name and renames the folder; older sets beyond the kept ones go.

    A set of the same step is replaced: the new one takes a later turn (step-N-2), then the old one goes.
    """
    root = run / FOLDER
    half = root / f".step-{step}{TEMPORARY}"
    files = {"tensors.safetensors": encode_tensors(tensors), "state.json": encode(state)}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    with disk_errors(root):
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        try:
            for name, data in (files | {"manifest.json": encode(digests)}).items():
                write_atomic(half / name, data)
            turn = max((t for s, t, _ in _sets(root) if s == step), default=0) + 1
            os.replace(half, root / f"step-{step:08d}-{turn}")
        except BaseException:
            shutil.rmtree(half, ignore_errors=True)
            raise
        sync_folder(root)
    _prune(root)


def newest(run: Path) -> Checkpoint | None:
    """The set of the highest step whose files match their checksums, or None."""
    for step, _, folder in reversed(_sets(run / FOLDER)):
        with suppress(InputError, OSError, ValueError, KeyError):
            data = {n: (folder / n).read_bytes() for n in ("tensors.safetensors", "state.json")}
            digests = decode((folder / "manifest.json").read_bytes(), str(folder))
            if all(hashlib.sha256(d).hexdigest() == digests[n] for n, d in data.items()):
                tensors = decode_tensors(data["tensors.safetensors"], str(folder))
                return Checkpoint(step=step, tensors=tensors, state=decode(data["state.json"], str(folder)))
    return None


def _sets(root: Path) -> list[tuple[int, int, Path]]:
    """(step, turn, folder) of each set, oldest first."""
    names = os.listdir(root) if root.is_dir() else []
    matches = [m for n in names if (m := re.fullmatch(r"step-(\d+)-(\d+)", n))]
    return sorted((int(m[1]), int(m[2]), root / m[0]) for m in matches)


def _prune(root: Path) -> None:
    """Keeps the last turn of the last steps; drops the rest, and what a killed process left half-written."""
    last_turns = {step: folder for step, _, folder in _sets(root)}
    kept = {last_turns[step] for step in sorted(last_turns)[-KEPT:]}
    for path in root.iterdir():
        if path not in kept:
            shutil.rmtree(path, ignore_errors=True)
