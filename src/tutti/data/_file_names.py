"""Patterns of file names whose parts become columns: "{label}_{speaker}_*.wav"."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from tutti.core import InputError

_PART = re.compile(r"\{([^{}]*)\}|([*?])|([{}])")


@dataclass(frozen=True)
class FileNames:
    """A pattern of file names.

    "{name}" takes one or more characters, as few as will do ("7" of "7_jackson_3.wav" for "{label}_{speaker}_*.wav"),
    and gives them to the column `name`; "*" takes any characters, none too; "?" takes one. None of them takes a "/".
    Everything else stands for itself, in upper or lower case. A pattern is compared with the end of a path, as many
    of its parts as the pattern has: "{label}/*.png" reads the folder's name. `names` are the columns, in their order.
    Raises InputError for a pattern without a name, with a name twice, with names that nothing separates, or with a
    lonely brace.
    """

    pattern: str
    names: tuple[str, ...] = field(init=False)
    _form: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        pattern = self.pattern.replace("\\", "/")
        names: list[str] = []
        form, end = "", 0
        for part in _PART.finditer(pattern):
            form += re.escape(pattern[end : part.start()])
            name, joker, brace = part.groups()
            if brace:
                raise self._wrong(f"has a lonely {brace!r}")
            if joker:
                form += "[^/]*" if joker == "*" else "[^/]"
            else:
                if not name.isidentifier() or name in names:
                    raise self._wrong(f"has the name {name!r} twice" if name in names else f"has {name!r} as a name")
                if names and part.start() == end and pattern[:end].endswith("}"):
                    raise self._wrong(f"has nothing between {{{names[-1]}}} and {{{name}}}")
                names.append(name)
                form += "([^/]+?)"
            end = part.end()
        if not names:
            raise self._wrong("names no column")
        object.__setattr__(self, "names", tuple(names))
        object.__setattr__(self, "_form", re.compile(form + re.escape(pattern[end:]), re.IGNORECASE | re.DOTALL))

    def _wrong(self, what: str) -> InputError:
        return InputError(
            f"The pattern {self.pattern!r} {what}.", fix='Write names in braces, as in "{label}_{speaker}_*.wav".'
        )

    def match(self, path: PurePath | str) -> dict[str, str] | None:
        """{column: text} of one path, or None where the pattern does not fit."""
        parts = PurePath(path).as_posix().split("/")
        depth = self.pattern.replace("\\", "/").count("/") + 1
        found = self._form.fullmatch("/".join(parts[-depth:]))
        return None if found is None else dict(zip(self.names, found.groups(), strict=True))

    def columns(self, paths: Sequence[PurePath | str]) -> dict[str, list[str]]:
        """The columns of these paths, one text per path. InputError names the first path that does not fit."""
        found = [self.match(path) for path in paths]
        columns: dict[str, list[str]] = {name: [] for name in self.names}
        for values in found:
            for name, value in (values or {}).items():
                columns[name].append(value)
        wrong = [PurePath(path).name for path, values in zip(paths, found, strict=True) if values is None]
        if wrong:
            raise InputError(
                f"{len(wrong):,} of {len(paths):,} file names do not fit the pattern {self.pattern!r}: {wrong[0]!r} "
                "is the first.",
                fix='"*" takes any characters, "?" one; "{name}" takes those that become the column of that name.',
            )
        return columns
