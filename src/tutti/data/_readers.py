"""Which reader a source needs: what the user said, else what the source looks like, else a table's."""

from collections.abc import Mapping
from typing import Any

from tutti.core import InputError, unknown
from tutti.data._graphs_read import GraphReader
from tutti.data._images_reader import ImageReader
from tutti.data._language_read import ProseReader
from tutti.data._nodes_read import EdgeReader, NodeReader
from tutti.data._reading import Reading
from tutti.data._sample import Reader
from tutti.data._series_read import SeriesReader
from tutti.data._sets_read import SetReader
from tutti.data._signals_read import SignalReader
from tutti.data._texts_read import TextReader

READERS: dict[str, Reader] = {
    GraphReader.kind: GraphReader(),  # folders and text files of one form, lists of graphs
    NodeReader.kind: NodeReader(),  # archives and dicts with edges, before those with arrays alone
    EdgeReader.kind: EdgeReader(),  # never guessed: the reader of nodes sees when they are meant
    ImageReader.kind: ImageReader(),
    TextReader.kind: TextReader(),
    ProseReader.kind: ProseReader(),  # never guessed
    SetReader.kind: SetReader(),  # lists of arrays of unequal length and one width
    SeriesReader.kind: SeriesReader(),  # never guessed
    SignalReader.kind: SignalReader(),  # .ts, WAV, float arrays of three axes that are no images, lists of [time]
}
"""Kind of data -> its reader."""

_ASKED = {
    "text": "text",
    "generate": "language",
    "set": "sets",
    "edges": "nodes",
    "links": "nodes",
    "smiles": "graphs",
    "masks": "images",
    "forecast": "series",
    "horizon": "series",
}


def asked_kind(reading: Reading) -> str | None:
    """The kind of data that the options ask for; None where they leave it to the source."""
    said = {name: getattr(reading, name) for name in _ASKED}
    kinds = {kind for name, kind in _ASKED.items() if said[name] is not None and said[name] is not False}
    if reading.data is not None:
        if reading.data != "table" and reading.data not in READERS:
            raise unknown("kind of data", reading.data, ["table", *READERS])
        kinds.add(reading.data)
    if kinds == {"nodes", "edges"}:  # the option of the same name gives the edges of either
        kinds = {"edges"}
    if len(kinds) > 1:
        raise InputError(
            f"The options ask for {' and for '.join(sorted(kinds))} at once.", fix="Leave out all but one of them."
        )
    return kinds.pop() if kinds else None


def reader_for(source: Any, reading: Reading) -> Reader | None:
    """The reader of this source; None for a table."""
    kind = asked_kind(reading)
    if kind is not None:
        return READERS.get(kind)
    if hasattr(source, "collect"):  # a lazy frame: the reader of tables says what to do with it
        return None
    return next((reader for reader in READERS.values() if reader.claims(source, reading)), None)


def reader_of(description: Mapping[str, Any]) -> Reader:
    """The reader that reads new samples as a description says."""
    kind = str(description.get("kind"))
    if kind not in READERS:
        raise unknown("kind of data", kind, READERS)
    return READERS[kind]
