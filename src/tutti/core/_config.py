"""A Config: the whole description of a component, as plain values, and how to build it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

from tutti.core._errors import InputError, unknown


@dataclass(frozen=True, kw_only=True)
class Config:
    """Base of every Config: a frozen, keyword-only dataclass of plain values beside the component it builds.

    `name` is the registry's key. A subclass adds fields and a `build(...)` of its own.
    """

    name: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """{"name": registry key, field: value, …}, with tuples as lists."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {"name": self.name} | {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


C = TypeVar("C", bound=Config)


def configure(what: str, registry: Mapping[str, type[C]], data: Mapping[str, Any]) -> C:
    """The Config that `data` ({"name": …, field: value, …}) describes, from a registry of them.

    Names are looked up, never imported. An unknown name or field raises with the nearest one.
    """
    if "name" not in data:
        raise InputError(f"This {what} has no name.", fix=f"There is: {', '.join(registry)}.")
    if data["name"] not in registry:
        raise unknown(what, str(data["name"]), registry)
    chosen = registry[data["name"]]
    known = [f.name for f in fields(chosen)]
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items() if k != "name"}
    for key in values:
        if key not in known:
            raise unknown(f"option of {what} {data['name']!r}", key, known)
    return chosen(**values)
