"""What a network must know of its data before it can be built: one shape for each kind of data."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from tutti.core._errors import InputError, unknown


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Base of the shapes. `kind` is the kind of data, and the key of its models and readers."""

    kind: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """{"kind": …, field: value, …}; `shape_from_json` reads it."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {"kind": self.kind} | {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


@dataclass(frozen=True, kw_only=True)
class TableShape(Shape):
    """Of a table: how many numeric features, and how many codes each category has.

    `levels[j]` counts all codes of category j, with 0 (never seen) and 1 (missing) among them. `missing` lists the
    numeric features that get an indicator: the first feature of each column in which values are missing. `switches`
    lists those that take two values only (0 and 1, false and true): nothing is gained by bending them.
    """

    kind: ClassVar[str] = "table"

    numbers: int
    levels: tuple[int, ...] = ()
    missing: tuple[int, ...] = ()
    switches: tuple[int, ...] = ()

    @property
    def quantities(self) -> int:
        """How many numeric features take more than two values."""
        return self.numbers - len(self.switches)


@dataclass(frozen=True, kw_only=True)
class ImageShape(Shape):
    """Of images, all of one size: uint8 pixels [channel, height, width]."""

    kind: ClassVar[str] = "images"

    channels: int
    height: int
    width: int


@dataclass(frozen=True, kw_only=True)
class SignalShape(Shape):
    """Of signals [channel, time]: `length` is the longest's, in samples; `rate` samples a second, where it is known.

    equal: whether all signals have that length. uneven: whether their sizes (standard deviations) lie so far apart
    that a network should see each signal's form and its size apart.
    """

    kind: ClassVar[str] = "signals"

    channels: int
    length: int
    rate: float | None = None
    equal: bool = True
    uneven: bool = False


@dataclass(frozen=True, kw_only=True)
class TextShape(Shape):
    """Of texts as token numbers: how many tokens there are (0 is padding, 1 unknown), and the longest text."""

    kind: ClassVar[str] = "text"

    tokens: int
    length: int


@dataclass(frozen=True, kw_only=True)
class LanguageShape(Shape):
    """Of windows of running text: how many tokens there are, and how many follow each other in what a network looks
    back on. A window has `length` + 1 tokens: each but the first is predicted from those before it."""

    kind: ClassVar[str] = "language"

    tokens: int
    length: int


@dataclass(frozen=True, kw_only=True)
class GraphShape(Shape):
    """Of many graphs: numbers of a node and of an edge, and the largest numbers of nodes and edges in one.

    levels, edge_levels: of each category of nodes and edges, its codes; 0 (never seen) is one of them.
    """

    kind: ClassVar[str] = "graphs"

    features: int
    edge_features: int
    nodes: int
    edges: int
    levels: tuple[int, ...] = ()
    edge_levels: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NodeShape(Shape):
    """Of one graph whose nodes are the samples: features of a node, and of an edge.

    weighed: whether one of the latter says how much the edge counts.
    """

    kind: ClassVar[str] = "nodes"

    features: int
    edge_features: int = 0
    weighed: bool = False


@dataclass(frozen=True, kw_only=True)
class EdgeShape(Shape):
    """Of pairs of nodes of one graph: features of a node, of an edge that passes messages, and of a pair itself.

    weighed: as NodeShape's. directed: whether the two ends of a pair play different parts; else (u, v) is (v, u).
    links: whether the question is if a pair is an edge.
    """

    kind: ClassVar[str] = "edges"

    features: int
    edge_features: int = 0
    weighed: bool = False
    own: int = 0
    directed: bool = False
    links: bool = False


@dataclass(frozen=True, kw_only=True)
class SetShape(Shape):
    """Of sets: features of an item, and the most items in one set.

    Of a set with more than TRAINED items a network sees a random TRAINED of them at each training step, and JUDGED
    (the same ones each time) when it is judged and used, unless its Config says otherwise.
    """

    kind: ClassVar[str] = "sets"
    TRAINED: ClassVar[int] = 128
    JUDGED: ClassVar[int] = 1024

    features: int
    items: int


@dataclass(frozen=True, kw_only=True)
class SeriesShape(Shape):
    """Of windows of a time series: its channels, the steps that are looked back on, and the steps to forecast.

    calendar: numbers that tell where in the day, week and year a window ends.
    """

    kind: ClassVar[str] = "series"

    channels: int
    window: int
    horizon: int
    calendar: int = 0


SHAPES: dict[str, type[Shape]] = {
    shape.kind: shape
    for shape in (
        TableShape,
        ImageShape,
        SignalShape,
        TextShape,
        LanguageShape,
        GraphShape,
        NodeShape,
        EdgeShape,
        SetShape,
        SeriesShape,
    )
}


def shape_from_json(data: Mapping[str, Any]) -> Shape:
    """The shape that `to_json` described."""
    kind = str(data.get("kind"))
    if kind not in SHAPES:
        raise unknown("kind of data", kind, SHAPES)
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items() if k != "kind"}
    try:
        return SHAPES[kind](**values)
    except TypeError as error:
        raise InputError(f"This shape cannot be read: {error}.") from error
