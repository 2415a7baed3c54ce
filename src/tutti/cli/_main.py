"""From the shell to a command and back: streams, errors and exit codes."""

import errno
import io
import os
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from typing import Any

from tutti.cli._start import leave_unswept
from tutti.cli._text import clean

_OF_THE_MACHINE = {
    errno.ENOENT,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.EDQUOT if hasattr(errno, "EDQUOT") else errno.ENOSPC,
}


def main() -> None:
    """Runs the command line and exits: 0 done, 1 a fault of ours, 2 a mistake in what was given, 130 Ctrl-C."""
    _never_fail_to_print()
    _leave_speaking_to_the_first()
    warnings.showwarning = _say
    from tutti.cli._app import app

    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # a full disk is told by us, not by the interpreter as it ends
    except Exception as error:
        sys.exit(_explain(error))
    finally:
        leave_unswept()


def _leave_speaking_to_the_first() -> None:
    """Under torchrun the first process speaks; what the others print goes nowhere."""
    if os.environ.get("RANK", "0") != "0":
        sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf8")  # noqa: SIM115


def _never_fail_to_print() -> None:
    """A console that cannot show a character shows `?` instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _say(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
) -> None:
    """A warning as a plain note, without the place in the code."""
    print(f"Note: {clean(str(message))}", file=sys.stderr)


def _explain(error: Exception) -> int:
    """Says on stderr what went wrong; the exit code."""
    if os.environ.get("TUTTI_DEBUG", "") not in ("", "0"):
        traceback.print_exception(error)
    problem = _mistake(error)
    if problem is not None:
        print("\n".join(clean(line) for line in problem), file=sys.stderr)
        return 2
    print(f"tutti failed: {type(error).__name__}: {clean(str(error))}", file=sys.stderr)
    print(f"This is a fault of tutti, not yours. {_keep(error)}", file=sys.stderr)
    return 1


def _mistake(error: Exception) -> list[str] | None:
    """The lines for an error that the user can mend; None for a fault of ours."""
    if "tutti.core" in sys.modules:
        from tutti.core import InputError

        if isinstance(error, InputError):
            return [f"Error: {error.problem}"] + ([f"Fix: {error.fix}"] if error.fix else [])
    if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
        if error.filename is None:  # while something open was written: what we print, above all
            _forget_what_waits()
            return [f"Error: {error.strerror}.", "Fix: check where the output goes, and the free space."]
        return [
            f"Error: {error.strerror}: {error.filename}",
            "Fix: check the path, its permissions and the free space.",
        ]
    return None


def _forget_what_waits() -> None:
    """What could not be printed is not tried again as the interpreter ends, which would be told as a fault."""
    try:
        sys.stdout.flush()
    except OSError:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _keep(error: Exception) -> str:
    """Writes the traceback to a file, and says where it is."""
    try:
        handle, name = tempfile.mkstemp(prefix="tutti-error-", suffix=".txt")
        with open(handle, "w", encoding="utf8") as file:
            file.write("".join(traceback.format_exception(error)))
    except OSError:
        return "Run again with TUTTI_DEBUG=1 to see the traceback."
    return f"The traceback is in {Path(name)}; please send it with the command that you ran."
