"""Which test rows have been looked at, and how often: every look makes their next score a little less honest."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
from jaxtyping import UInt64

from tutti.core import Finding, InputError
from tutti.runs import write_atomic

LEDGER = "test_rows.json"
_FORMAT = 1


def fingerprint_rows(hashes: UInt64[np.ndarray, " test"]) -> str:
    """16 hexadecimal digits that stand for the content of rows (Table.hashes, with the target), in any order.

    The start of the SHA-256 of their sorted 64-bit hashes: the same on every machine, and no row can be read from it.
    It changes with any value, and with the columns that are features.
    """
    return hashlib.sha256(np.sort(hashes).astype("<u8").tobytes()).hexdigest()[:16]


def looked_at(folder: Path, fingerprint: str) -> int:
    """How many runs in `folder` have been judged on these rows (0 where no ledger is there, or none can be read)."""
    return len((_read(folder / LEDGER) or {}).get(fingerprint, []))


def record_look(folder: Path, fingerprint: str, run_name: str) -> list[Finding]:
    """Notes in the ledger of `folder` (where the runs lie) that this run was judged on these rows.

    A run counts once, however often it is judged. The ledger `test_rows.json` is {"format": 1, "rows":
    {fingerprint: [run names]}}, replaced in one step. A ledger that cannot be read is moved to
    `test_rows.json.unreadable` and a new one begun; one that cannot be written is left; either is a notice.
    """
    ledger = folder / LEDGER
    findings = []
    try:
        looks = _read(ledger)
        if looks is None:
            aside = ledger.with_name(LEDGER + ".unreadable")
            os.replace(ledger, aside)
            message = f"The ledger of test rows could not be read: a new one begins, the old one is {aside.name}."
            findings.append(Finding(kind="test-ledger", where=LEDGER, message=message, severity="notice"))
            looks = {}
        runs = looks.setdefault(fingerprint, [])
        if run_name not in runs:
            runs.append(run_name)
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(ledger, json.dumps({"format": _FORMAT, "rows": looks}, indent=1).encode())
    except (OSError, InputError):
        message = "The ledger of test rows could not be written: this look is not counted. Is there space, and leave?"
        findings.append(Finding(kind="test-ledger", where=LEDGER, message=message, severity="notice"))
    return findings


def repeated_looks(before: int) -> list[Finding]:
    """The notice that these test rows have judged `before` other runs; none for the first look."""
    if before == 0:
        return []
    times = "once" if before == 1 else f"{before} times"
    message = f"These test rows have been looked at {times} before: choosing by their score makes it too good."
    return [Finding(kind="test-reused", where="test", message=message, severity="notice")]


def _read(ledger: Path) -> dict[str, list[str]] | None:
    """Fingerprints with the runs that looked at them; empty where there is no ledger; None where it is unreadable."""
    try:
        held = json.loads(ledger.read_text(encoding="utf8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        return None
    rows = held.get("rows") if isinstance(held, dict) and held.get("format") == _FORMAT else None
    if not isinstance(rows, dict):
        return None
    sound = all(isinstance(runs, list) and all(isinstance(run, str) for run in runs) for runs in rows.values())
    return rows if sound else None
