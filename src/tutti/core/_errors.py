"""What a user did wrong, said once and clearly."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class InputError(ValueError):
    """A mistake in what the user gave: data, names, options, files.

    The message says what was given, what was expected, and the smallest fix. The command line prints it
    without a traceback and exits with 2. Anything else that escapes is a fault of tutti's own (exit 1).
    """

    def __init__(self, problem: str, *, fix: str = "") -> None:
        self.problem = problem
        self.fix = fix
        super().__init__(f"{problem} {fix}".strip())


class InputTypeError(InputError, TypeError):
    """An argument of the wrong Python type. Both a ValueError and a TypeError."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C when there was a model to keep, which was not yet judged: `folder` holds it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(f"Stopped; the unjudged model is in {folder}.")


def nearest(name: str, options: Iterable[str]) -> str | None:
    """The option whose spelling is closest to `name`, ignoring case, or None where none is close."""
    by_lower = {option.lower(): option for option in options}
    found = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def unknown(what: str, name: str, options: Iterable[str]) -> InputError:
    """The error for a name that is none of `options`: it offers the nearest, else lists (up to 20 of) them."""
    listed = list(options)
    close = nearest(name, listed)
    shown = ", ".join(listed[:20]) + (", …" if len(listed) > 20 else "")
    fix = f"Did you mean {close!r}?" if close else f"There is: {shown}." if listed else ""
    return InputError(f"Unknown {what} {name!r}.", fix=fix)
