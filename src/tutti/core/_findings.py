"""A finding: something that a check saw and the user should know."""

from dataclasses import asdict, dataclass
from typing import Literal

Severity = Literal["notice", "warning", "refused"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that a check saw.

    `kind` is a short stable name in kebab-case ("target-copy", "duplicate-rows", "time-order"), `where` the
    column, rows or member concerned, `message` one plain sentence with the remedy.
    """

    kind: str
    where: str
    message: str
    severity: Severity = "warning"

    def to_json(self) -> dict[str, str]:
        return asdict(self)
