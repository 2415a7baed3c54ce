"""What the user said of the columns: roles and kinds, by name or by number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tutti.core import InputError, Kind, Role, unknown
from tutti.data._sources import Frame

Name = str | int


@dataclass(frozen=True, kw_only=True)
class Declared:
    """Roles and kinds with every name resolved. A column without an entry in `roles` may be a feature."""

    targets: tuple[str, ...]
    roles: Mapping[str, Role] = field(default_factory=dict)
    kinds: Mapping[str, tuple[Kind, str]] = field(default_factory=dict)  # kind and, for datetime, its format
    keep: frozenset[str] = frozenset()

    def column(self, role: Role) -> str | None:
        """The one column with this role."""
        return next((name for name, given in self.roles.items() if given == role), None)


def declare(
    frame: Frame,
    *,
    target: Name | Sequence[Name] | None,
    roles: Mapping[Role, Name | None],
    kinds: Mapping[Name, str],
    keep: Sequence[Name],
    drop: Sequence[Name],
) -> Declared:
    """Resolves names and numbers; raises where one is unknown or one column is given two roles."""
    targets = frame.targets if target is None else tuple(find(frame, n) for n in several(target))
    if not targets:
        raise InputError(
            f"No target was named. The columns are {_listed(list(frame.columns))}.",
            fix='Name the column to predict: target="…" (--target … on the command line).',
        )
    given: dict[str, Role] = {}
    wishes = [(name, Role.TARGET) for name in dict.fromkeys(targets)]
    wishes += [(find(frame, name), role) for role, name in roles.items() if name is not None]
    wishes += [(find(frame, name), Role.ASIDE) for name in several(drop)]
    for name, role in wishes:
        if given.get(name, role) != role:
            raise InputError(f"The column {name!r} is asked to be both {given[name].value} and {role.value}.")
        given[name] = role
    return Declared(
        targets=tuple(dict.fromkeys(targets)),
        roles=given,
        kinds={find(frame, name): parse_kind(kind) for name, kind in kinds.items()},
        keep=frozenset(find(frame, name) for name in several(keep)),
    )


def several(names: Name | Sequence[Name] | None) -> list[Name]:
    """One name or many as a list; None is none."""
    if names is None:
        return []
    return [names] if isinstance(names, str | int) else list(names)


def find(frame: Frame, name: Name) -> str:
    """The column of this name, or of this number (from 0; negative from the end)."""
    names = list(frame.columns)
    if isinstance(name, str) and name in frame.columns:
        return name
    try:
        position = int(name)
    except ValueError:
        error = unknown("column", str(name), names)
        doubt = next((f for f in frame.findings if f.kind == "header-looks-like-data"), None)
        raise InputError(error.problem, fix=doubt.message) if doubt else error from None
    if not -len(names) <= position < len(names):
        raise InputError(
            f"There is no column number {position}: the table has {len(names)} columns.",
            fix=f"Give 0 to {len(names) - 1}, or -1 for the last.",
        )
    return names[position]


def parse_kind(text: str) -> tuple[Kind, str]:
    """ "category" → (CATEGORY, ""); "datetime:%d/%m/%Y" → (DATETIME, "%d/%m/%Y")."""
    word, _, form = str(text).partition(":")
    if word not in list(Kind):
        raise unknown("kind", word, [kind.value for kind in Kind])
    if form and word != Kind.DATETIME:
        raise InputError(f"The kind {text!r} takes no format.", fix='Only "datetime:FORMAT" does.')
    return Kind(word), form


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names[:20])) + (", …" if len(names) > 20 else "")
