"""What a sample is: columns with their kinds and roles, and what stands beside them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from tutti.core._errors import InputError, unknown
from tutti.core._shapes import Shape, TableShape, shape_from_json


class Kind(StrEnum):
    """What the values of a column mean. Only `number`, `boolean`, `category` and `datetime` become features."""

    NUMBER = "number"
    CATEGORY = "category"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    TEXT = "text"
    IDENTIFIER = "identifier"
    CONSTANT = "constant"


class Role(StrEnum):
    """What a column is for."""

    FEATURE = "feature"
    TARGET = "target"
    GROUP = "group"
    TIME = "time"
    SERIES = "series"
    WEIGHT = "weight"
    ASIDE = "aside"  # read, shown, and not used


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table.

    `levels` are the distinct values of a category in the order of their codes: level i has code i + 2; code 1
    is a missing value, code 0 a value never seen. For a boolean they are its false and its true word.
    `features` are the names of the numeric features that a number, boolean or datetime column yields, in
    order; a category yields one code. `missing` counts the rows without a value; `distinct` the values seen.
    `note` says in words why the kind was chosen or why the column is set aside.
    `form` says how text becomes a value ("" is plain; see tutti.data), `marks` are the words that
    counted as missing in it.
    """

    name: str
    kind: Kind
    role: Role = Role.FEATURE
    levels: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    missing: int = 0
    distinct: int = 0
    note: str = ""
    form: str = ""
    marks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Column":
        fields = dict(data)
        fields["kind"] = Kind(fields["kind"])
        fields["role"] = Role(fields["role"])
        fields["levels"] = tuple(fields["levels"])
        fields["features"] = tuple(fields["features"])
        fields["marks"] = tuple(fields.get("marks", ()))
        return cls(**fields)


@dataclass(frozen=True, kw_only=True)
class Schema:
    """What a sample is: the columns of a table in their order, with unique names, and what stands beside them.

    sample: of images, signals, texts, graphs or sets, how new ones are read, as JSON values (data.Sample.to_json);
    the columns then hold the target, groups, times and weights only. None for a table.
    """

    columns: tuple[Column, ...]
    rows: int
    sample: Mapping[str, Any] | None = None

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise unknown("column", name, [c.name for c in self.columns])

    def with_role(self, role: Role) -> tuple[Column, ...]:
        return tuple(c for c in self.columns if c.role == role)

    @property
    def inputs(self) -> tuple[Column, ...]:
        """The columns that feed a network: the features, the series key, and the calendar of a time column."""
        return tuple(c for c in self.columns if c.role in (Role.FEATURE, Role.SERIES, Role.TIME))

    @property
    def numbers(self) -> tuple[str, ...]:
        """Names of the numeric features, in the order of the model's first input."""
        return tuple(f for c in self.inputs for f in c.features)

    @property
    def categories(self) -> tuple[Column, ...]:
        """The category columns among the inputs, in the order of the model's second input."""
        return tuple(c for c in self.inputs if c.kind == Kind.CATEGORY)

    @property
    def summary(self) -> str:
        """What was read, in one line; "" for a table, whose columns tell it."""
        return "" if self.sample is None else str(self.sample["summary"])

    @property
    def kind(self) -> str:
        """The kind of data."""
        return self.shape.kind

    @property
    def shape(self) -> Shape:
        if self.sample is not None:
            return shape_from_json(self.sample["shape"])
        levels = tuple(len(c.levels) + 2 for c in self.categories)
        place = {name: i for i, name in enumerate(self.numbers)}
        missing = tuple(place[c.features[0]] for c in self.inputs if c.features and c.missing)
        single = [c for c in self.inputs if len(c.features) == 1 and c.kind in (Kind.NUMBER, Kind.BOOLEAN)]
        switches = tuple(place[c.features[0]] for c in single if c.distinct <= 2)
        return TableShape(numbers=len(place), levels=levels, missing=missing, switches=switches)

    def replace(self, name: str, **changes: Any) -> "Schema":
        """This schema with one column changed."""
        _ = self[name]
        columns = tuple(replace(c, **changes) if c.name == name else c for c in self.columns)
        return replace(self, columns=columns)

    def to_json(self) -> dict[str, Any]:
        columns = [c.to_json() for c in self.columns]
        return {"rows": self.rows, "columns": columns, "sample": None if self.sample is None else dict(self.sample)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Schema":
        try:
            columns = tuple(Column.from_json(c) for c in data["columns"])
            return cls(columns=columns, rows=data["rows"], sample=data["sample"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"This schema cannot be read: {error}.") from error
