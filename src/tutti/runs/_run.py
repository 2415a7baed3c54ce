"""A run folder: made, written, sealed, opened and checked."""

import hashlib
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args, overload

import numpy as np
from torch import Tensor

from tutti import __version__
from tutti.core import InputError, nearest
from tutti.runs import _checkpoints
from tutti.runs._atomic import TEMPORARY, disk_errors, write_atomic
from tutti.runs._checkpoints import FOLDER as CHECKPOINTS
from tutti.runs._checkpoints import Checkpoint as Checkpoint
from tutti.runs._environment import environment
from tutti.runs._json import decode, encode
from tutti.runs._names import free_folder, tidy_name
from tutti.runs._tensors import Array, decode_arrays, decode_tensors, encode_tensors

FORMAT = 1
"""The number of the folder's layout. It grows when an older tutti could no longer read a new folder."""

RunStatus = Literal["running", "interrupted", "failed", "finished"]

HEAD, MANIFEST, LOG = "run.json", "manifest.json", "log.jsonl"
UNSEALED = ".unsealed"  # a mark, there while a run may be written to: without it, a finished run has its manifest
PAGE = "report.html"  # made from the other files, and made anew by later versions: no seal is on it

_RESTORE = "Restore it, or run again."


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """What run.json says of a run."""

    name: str
    folder: Path
    status: RunStatus
    created: str  # UTC, ISO 8601
    tutti: str  # the version that wrote it
    reason: str = ""  # why it failed


class Run:
    """One run on disk.

    Each file is written whole or not at all; the log grows by whole lines. While training, `status` is
    "running" (also after a kill) and `latest_checkpoint()` is where to go on. `seal()` ends the run: from then
    on a manifest holds the size and SHA-256 of each file but the log, and opening a folder that differs from
    its manifest is refused. Writing to a sealed run breaks the seal; seal it again. Files that the manifest
    does not name (a report) may come and go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(cls, folder: Path | str | None, name: str, *, root: Path | str = "runs") -> "Run":
        """A new run in `folder`, or, where it is None, in root/NAME, root/NAME-2, … (the first that is free).

        A `folder` that exists and is not empty raises InputError, as does one that cannot be written; of a
        failed attempt nothing stays. run.json and environment.json are written at once.
        """
        made = free_folder(Path(root), tidy_name(name)) if folder is None else _empty_folder(Path(folder))
        run = cls(made)
        head = {"format": FORMAT, "tutti": __version__, "name": made.resolve().name, "status": "running"}
        try:
            run.write_json(HEAD, head | {"created": datetime.now(UTC).isoformat(timespec="seconds")})
            run.write_json("environment.json", environment())
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
        return run

    @classmethod
    def open(cls, folder: Path | str) -> "Run":
        """The run in `folder`, read and, where it is sealed, checked against its manifest.

        InputError where there is none (the nearest name beside it is offered), where a newer tutti wrote a
        layout that this one does not know, and where a file was changed or is missing.
        """
        run = cls(Path(folder))
        run._read_head()
        run.verify()
        return run

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    @property
    def status(self) -> RunStatus:
        """ "running" (or killed), "interrupted", "failed" or "finished"."""
        return self.summary().status

    @property
    def sealed(self) -> bool:
        return (self.folder / MANIFEST).is_file()

    def summary(self) -> RunSummary:
        """What run.json says."""
        head = self._read_head()
        return RunSummary(
            name=self.name,
            folder=self.folder,
            status=head["status"],
            created=head["created"],
            tutti=head["tutti"],
            reason=str(head.get("reason", "")),
        )

    def set_status(self, status: RunStatus, reason: str = "") -> None:
        """Writes the status; of a failed run the reason too."""
        self.write_json(HEAD, self._read_head() | {"status": status, "reason": reason})

    def has(self, file: str) -> bool:
        """Whether the run holds this file."""
        return (self.folder / _plain_name(file)).is_file()

    def remove(self, file: str) -> None:
        """Removes a file that the run may hold."""
        self._unseal()
        with disk_errors(self.folder / file):
            (self.folder / _plain_name(file)).unlink(missing_ok=True)

    def write_json(self, file: str, value: Any) -> None:
        """Writes `value` as JSON, atomically. NaN and infinities become null; numpy and torch values are taken."""
        self._write(file, encode(value) + b"\n")

    def read_json(self, file: str) -> Any:
        return decode(self._read(file), str(self.folder / file))

    def write_tensors(self, file: str, tensors: Mapping[str, Array]) -> None:
        """Writes numpy arrays and torch tensors (of any device) as safetensors, atomically."""
        self._write(file, encode_tensors(tensors))

    @overload
    def read_tensors(self, file: str, kind: Literal["numpy"] = ...) -> dict[str, np.ndarray]: ...
    @overload
    def read_tensors(self, file: str, kind: Literal["torch"]) -> dict[str, Tensor]: ...
    def read_tensors(self, file: str, kind: Literal["numpy", "torch"] = "numpy") -> Mapping[str, Array]:
        """The arrays (kind "numpy") or CPU tensors (kind "torch") of a safetensors file."""
        what = str(self.folder / file)
        return decode_arrays(self._read(file), what) if kind == "numpy" else decode_tensors(self._read(file), what)

    def append(self, event: Mapping[str, Any], file: str = LOG) -> None:
        """Adds one line of JSON to a log and hands it to the system at once: a kill loses no finished line."""
        path = self.folder / _plain_name(file)
        line = encode(event, indent=None) + b"\n"
        with disk_errors(path), path.open("ab+") as log:
            end = log.seek(0, 2)
            if end and not _ends_with_newline(log, end):
                log.truncate(_last_whole_line(log, end))
            log.write(line)

    def read_log(self, file: str = LOG) -> list[dict[str, Any]]:
        """The events of a log in their order ([] where there is none). A torn last line is left out."""
        if not self.has(file):
            return []
        lines = self._read(file).split(b"\n")
        whole = lines[:-1]  # what follows the last newline is empty, or torn by a kill
        return [decode(line, f"{self.folder / file}, line {i}") for i, line in enumerate(whole, 1) if line.strip()]

    def cut_log(self, events: int, file: str = LOG) -> None:
        """Keeps the first `events` lines of a log: what came after a checkpoint is told again by who goes on."""
        if self.has(file):
            self._write(file, b"".join(self._read(file).splitlines(keepends=True)[:events]))

    def checkpoint(self, step: int, tensors: Mapping[str, Array], state: Mapping[str, Any]) -> None:
        """Keeps tensors and a JSON state of a step as one atomic set; the last two sets stay."""
        self._unseal()
        _checkpoints.write(self.folder, step, tensors, state)

    def latest_checkpoint(self) -> Checkpoint | None:
        """The newest set that is whole (a broken one is passed over), or None."""
        return _checkpoints.newest(self.folder)

    def seal(self, status: RunStatus = "finished") -> None:
        """Ends the run: sets its status, writes the manifest, drops the checkpoints of a finished one.

        A process killed in between leaves a run that is finished but not sealed; it can be resumed.
        """
        if status not in get_args(RunStatus):
            raise ValueError(f"status {status!r} is none of {get_args(RunStatus)}")
        self.set_status(status)
        self._sweep()
        outside = (LOG, MANIFEST, PAGE, UNSEALED)
        files = sorted(p for p in self.folder.iterdir() if p.is_file() and p.name not in outside)
        entries = {p.name: {"bytes": p.stat().st_size, "sha256": _digest(p)} for p in files}
        write_atomic(self.folder / MANIFEST, encode({"files": entries}) + b"\n")
        with suppress(OSError):
            (self.folder / UNSEALED).unlink()
        if status == "finished":
            shutil.rmtree(self.folder / CHECKPOINTS, ignore_errors=True)

    def verify(self) -> None:
        """Checks each file that the manifest names. A run without one passes while it is being written, was stopped
        or killed; not where it is finished."""
        if not self.sealed:
            if self.status == "finished" and not (self.folder / UNSEALED).exists():
                raise InputError(f"{self.folder / MANIFEST} is missing from this run.", fix=_RESTORE)
            return
        manifest = self.read_json(MANIFEST)
        try:
            entries = {_plain_name(name): (e["bytes"], e["sha256"]) for name, e in manifest["files"].items()}
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise InputError(f"{self.folder / MANIFEST} is damaged.", fix=_RESTORE) from error
        entries.pop(PAGE, None)
        for name, (size, digest) in entries.items():
            path = self.folder / name
            if not path.is_file():
                raise InputError(f"{path} is missing from this run.", fix=_RESTORE)
            if path.stat().st_size != size or _digest(path) != digest:
                raise InputError(f"{path} was changed after the run was sealed.", fix=_RESTORE)

    def _read_head(self) -> dict[str, Any]:
        if not self.folder.is_dir() or not self.has(HEAD):
            raise _no_run(self.folder)
        head = self.read_json(HEAD)
        if not isinstance(head, dict) or not isinstance(head.get("format"), int):
            raise InputError(f"{self.folder / HEAD} is damaged.", fix=_RESTORE)
        if head["format"] > FORMAT:
            raise InputError(
                f"{self.folder} was written by tutti {head.get('tutti', '?')} in format {head['format']}; "
                f"this is tutti {__version__}, which reads formats up to {FORMAT}.",
                fix="Update tutti: pip install --upgrade tutti.",
            )
        if head.get("status") not in get_args(RunStatus) or not {"created", "tutti"} <= head.keys():
            raise InputError(f"{self.folder / HEAD} is damaged.", fix=_RESTORE)
        return head

    def _write(self, file: str, data: bytes) -> None:
        self._unseal()
        write_atomic(self.folder / _plain_name(file), data)

    def _unseal(self) -> None:
        """Before anything changes, so that a kill in between cannot look like tampering."""
        with disk_errors(self.folder):
            (self.folder / UNSEALED).touch()
            (self.folder / MANIFEST).unlink(missing_ok=True)

    def _read(self, file: str) -> bytes:
        path = self.folder / _plain_name(file)
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            raise InputError(f"The run {self.folder} has no {file}.", fix="It may not have finished.") from error
        except OSError as error:
            raise InputError(f"Cannot read {path}: {error.strerror}.") from error

    def _sweep(self) -> None:
        """Removes what a killed process left half-written."""
        for path in self.folder.glob(f".*{TEMPORARY}"):
            with suppress(OSError):
                path.unlink()


def list_runs(root: Path | str = "runs") -> list[RunSummary]:
    """The runs directly inside `root`, oldest first. Folders that are no (readable) runs are passed over."""
    found = []
    for folder in _run_folders(Path(root)):
        with suppress(InputError):
            found.append(Run(folder).summary())
    return sorted(found, key=lambda run: (run.created, run.name))


def refuse_taken(folder: Path | str) -> None:
    """InputError where a run cannot be made in the folder that the user named, as it is a file or holds anything."""
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, not a folder.", fix="Choose another --out.")
    with disk_errors(folder):
        if folder.is_dir() and any(folder.iterdir()):
            raise InputError(
                f"{folder} exists and is not empty; a run is never overwritten.",
                fix="Choose another --out, or leave it out: default names count up.",
            )


def _empty_folder(folder: Path) -> Path:
    """Makes the folder that the user named; one that holds anything is refused."""
    refuse_taken(folder)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    refuse_taken(folder)
    return folder


def _run_folders(root: Path) -> list[Path]:
    try:
        return sorted(p for p in root.iterdir() if (p / HEAD).is_file())
    except OSError:
        return []


def _no_run(folder: Path) -> InputError:
    """The error for a folder that is no run, with the run beside it whose name is nearest."""
    beside = {str(p): p.name for root in (folder.parent, folder.parent / "runs") for p in _run_folders(root)}
    close = nearest(folder.name, beside.values())
    path = next((p for p, name in beside.items() if name == close), None)
    few = ", ".join(list(beside)[:5])
    fix = f"Did you mean {path}?" if path else f"There is: {few}." if few else ""
    if folder.is_file():
        return InputError(f"{folder} is a file; expected a run folder.", fix=fix)
    if folder.is_dir():
        return InputError(f"{folder} is not a run folder: it has no {HEAD}.", fix=fix)
    return InputError(f"There is no run {folder}.", fix=fix)


def _plain_name(file: str) -> str:
    """`file`, which must be a bare name: nothing a run holds lies outside its folder."""
    if file in ("", ".", "..") or any(c in file for c in "/\\:\0"):
        raise ValueError(f"{file!r} is not a plain file name")
    return file


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _ends_with_newline(log: Any, end: int) -> bool:
    log.seek(end - 1)
    return bool(log.read(1) == b"\n")


def _last_whole_line(log: Any, end: int) -> int:
    """Where the last newline of a log ends: a torn line after it is cut off before the log goes on."""
    log.seek(0)
    return int(log.read(end).rfind(b"\n")) + 1
