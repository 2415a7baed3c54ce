"""How a source is to be understood, where the user says so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What was said of columns, for readers whose samples are made of several of them (sets, series).

    beside: columns that say something of a sample and are no part of it: target, group, time, series, weight; roles:
    the same but for the target, by role.
    kinds, keep, drop: as in `read`.
    """

    beside: tuple[str | int, ...] = ()
    roles: Mapping[str, str | int] = field(default_factory=dict)
    kinds: Mapping[str | int, str] = field(default_factory=dict)
    keep: tuple[str | int, ...] = ()
    drop: tuple[str | int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the user said about how to read; None and False leave it to the readers.

    data: the kind of data ("table", "images", "signals", "text", "graphs", "nodes", "edges", "sets",
        "series", "language"), where the guess is wrong. header, delimiter: of text files.
    text: the column that holds the texts. set: the column that says to which set a row belongs.
    edges: the edges of one graph whose nodes the source lists: a file, a frame or an array [2, edges].
    links: whether two nodes of the graph are joined is what is predicted.
    smiles: the column that holds molecules. masks: the folder (or array) of the masks of images.
    target_from: a pattern of file names, such as "{label}_{speaker}_*.wav"; its names become columns.
    forecast: the column(s) of a time series to forecast ("all": every column of numbers); horizon: how many steps
        ahead; window: steps looked back on; parts: how many steps (of a language model:
        characters) train, validate and test, one after the other. test_size: the share of a text at whose end its
        language model is judged.
    generate: a language model of the text. vocabulary: how many tokens; unit: "word", "wordpiece", "bpe" or
        "character". size: (height, width) to which images are brought. length: the most tokens of a text, samples
        of a signal or items of a set that are kept. rate: samples a second to which signals are brought.
    skip: leaves out what cannot be read, instead of ending with its name.
    wishes: what was said of columns; `read` fills it in.
    """

    data: str | None = None
    header: bool = True
    delimiter: str | None = None
    text: str | int | None = None
    set: str | int | None = None
    edges: Any = None
    links: bool = False
    smiles: str | int | None = None
    masks: Any = None
    target_from: str | None = None
    forecast: str | int | Sequence[str] | None = None
    horizon: int | None = None
    window: int | None = None
    parts: Sequence[int] | None = None
    test_size: float | None = None
    generate: bool = False
    vocabulary: int | None = None
    unit: str | None = None
    size: tuple[int, int] | None = None
    length: int | None = None
    rate: float | None = None
    skip: bool = False
    wishes: Wishes = field(default_factory=Wishes)


READING_NAMES = tuple(f.name for f in fields(Reading) if f.name != "wishes")
