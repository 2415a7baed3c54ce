"""How a source is to be understood, where the user says so."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the user said about how to read; None and False leave it to the readers.

    data: the kind of data ("table", "images", "signals", "text", "graphs", "nodes", "sets"), where the guess is
        wrong. header, delimiter: of text files.
    text: the column that holds the texts. set: the column that says to which set a row belongs.
    edges: the edges of one graph whose nodes the source lists: a file, a frame or an array [2, edges].
    smiles: the column that holds molecules. masks: the folder (or array) of the masks of images.
    target_from: a pattern of file names, such as "{label}_{speaker}_*.wav"; its names become columns.
    forecast: the column(s) of a time series to forecast; horizon: how many steps ahead; window: steps looked back on.
    generate: a language model of the text. vocabulary: how many tokens; unit: "word", "wordpiece", "bpe" or
        "character". size: (height, width) to which images are brought. length: the most tokens of a text, or
        samples of a signal, that are kept. rate: samples a second to which signals are brought.
    skip: leaves out what cannot be read, instead of ending with its name.
    """

    data: str | None = None
    header: bool = True
    delimiter: str | None = None
    text: str | int | None = None
    set: str | int | None = None
    edges: Any = None
    smiles: str | int | None = None
    masks: Any = None
    target_from: str | None = None
    forecast: str | int | Sequence[str] | None = None
    horizon: int | None = None
    window: int | None = None
    generate: bool = False
    vocabulary: int | None = None
    unit: str | None = None
    size: tuple[int, int] | None = None
    length: int | None = None
    rate: float | None = None
    skip: bool = False


READING_NAMES = tuple(f.name for f in fields(Reading))
