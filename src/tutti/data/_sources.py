"""Sources: a path, a frame, arrays, tensors, a dict or a bundled name becomes named columns of arrow data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from tutti.core import Finding, InputError, InputTypeError, nearest
from tutti.data._files import read_file
from tutti.data._sources_library import by_part, cells, in_parts, is_dataset, labels_of, set_apart
from tutti.data._text import Header

BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "wine")
ACCEPTED = (
    "a path (CSV, TSV, JSON lines, Parquet, Arrow, NPZ, .ts; a folder of images, recordings or texts), a pandas, "
    "polars or Arrow frame, a NumPy array or torch tensor, a list of arrays, PIL images, texts or torch-geometric "
    "graphs, a pair (X, y) of these, a dict of columns or of lists by class, a Hugging Face dataset, a torch dataset "
    f"of pairs, or one of {', '.join(BUNDLED)}"
)
"""What is read, for the message of a source that is not."""


@dataclass
class Frame:
    """Columns by name, in order, as arrow data (text where the source holds text)."""

    columns: dict[str, pa.ChunkedArray]
    source: str
    targets: tuple[str, ...] = ()  # of pairs and bundled sets
    nameless: bool = False  # the names are positions
    delimiter: str | None = None  # of text files
    findings: list[Finding] = field(default_factory=list)
    test: Int[np.ndarray, " test"] | None = None  # rows that the source itself sets apart
    validation: Int[np.ndarray, " validation"] | None = None

    @property
    def rows(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0


def load(source: Any, *, header: Header = True, delimiter: str | None = None) -> Frame:
    """Any source as a Frame. Text cells stay text; typed sources keep their types."""
    if isinstance(source, str) and source in BUNDLED and not Path(source).exists():
        return _bundled(source)
    if isinstance(source, str | Path):
        content = read_file(_existing(Path(source)), header=header, delimiter=delimiter)
        frame = _from_pairs(content.names, content.columns, Path(source).name)
        frame.targets, frame.nameless = content.targets, content.nameless
        frame.delimiter, frame.findings = content.delimiter, content.findings
        frame.test, frame.validation = content.test, content.validation
        return frame
    if in_parts(source):
        return _joined(source, header)
    if isinstance(source, tuple) and len(source) == 2:
        return _pair(*source)
    if hasattr(source, "tensors") and len(source.tensors) == 2:  # torch's TensorDataset
        return _pair(*source.tensors)
    return _one(source)


def _joined(source: Mapping[str, Any], header: Header) -> Frame:
    """The parts of one data set, one below the other, with the columns that all have; the test part is set apart."""
    parts = [(name, load(part, header=header)) for name, part in by_part(source)]
    frames = [frame for _, frame in parts]
    shared = [name for name in frames[0].columns if all(name in frame.columns for frame in frames)]
    if not shared:
        raise InputError("The parts of the source share no column.", fix="Give all of them the same columns.")
    try:
        tables = [pa.table({name: frame.columns[name] for name in shared}) for frame in frames]
        table = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise InputError(f"The parts of the source differ: {error}.", fix="Give all the same columns.") from error
    frame = _from_pairs(shared, table.columns, "dataset" if is_dataset(next(iter(source.values()))) else "dict")
    frame.targets = tuple(name for name in frames[0].targets if name in shared)
    frame.test, frame.validation, frame.findings = set_apart(
        [name for name, _ in parts], [part.rows for part in frames], frame.source
    )
    return frame


def _one(source: Any) -> Frame:
    """A frame, an array, a tensor or a dict, without its target."""
    home = type(source).__module__.split(".")[0]
    if is_dataset(source):
        names = list(source.column_names)
        frame = _from_pairs(names, [_arrow(cells(source, name), name) for name in names], "dataset")
        frame.targets = labels_of(source)
        return frame
    if isinstance(source, Mapping):
        columns = {str(name): _arrow(values, str(name)) for name, values in source.items()}
        return _from_pairs(list(columns), list(columns.values()), "dict")
    if home == "pandas" and hasattr(source, "columns"):
        names = [_label(name) for name in source.columns]
        parts = [_arrow(source.iloc[:, i], names[i]) for i in range(len(names))]
        return _from_pairs(names, parts, "pandas frame")
    if hasattr(source, "collect") and home == "polars":
        raise InputTypeError("A lazy polars frame holds no rows yet.", fix="Call .collect() first.")
    if hasattr(source, "__arrow_c_stream__") or isinstance(source, pa.RecordBatch):
        return _from_arrow(source, home)
    array = as_array(source)
    if array is None:
        raise InputTypeError(f"{type(source).__name__!r} is nothing that tutti reads.", fix=f"Give {ACCEPTED}.")
    return _from_array(array)


def _from_arrow(source: Any, home: str) -> Frame:
    try:
        table = pa.table(source)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InputError(f"This {type(source).__name__} cannot be read as a table: {error}.") from error
    return _from_pairs(table.column_names, table.columns, f"{home} frame")


def _from_array(array: np.ndarray) -> Frame:
    if array.dtype.names:
        parts = [_arrow(array[name], name) for name in array.dtype.names]
        return _from_pairs(list(array.dtype.names), parts, "array")
    if array.ndim != 2:
        raise InputError(f"The array has shape {array.shape}; expected (rows, columns).", fix=_other_kinds(array))
    names = [str(i) for i in range(array.shape[1])]
    frame = _from_pairs(names, [_arrow(array[:, i], name) for i, name in enumerate(names)], "array")
    frame.nameless = True
    return frame


def _other_kinds(array: np.ndarray) -> str:
    """What an array that is no table may be."""
    if array.ndim == 1:
        return "Use X.reshape(-1, 1) for one column, X.reshape(1, -1) for one row."
    if array.ndim == 3:
        return (
            'data="sets" reads sets [row, item, feature], data="signals" signals [row, channel, time], data="images" '
            "images [row, height, width]."
        )
    return 'data="images" reads images [row, height, width, channel].' if array.ndim == 4 else ""


def _from_pairs(names: list[str], columns: list[Any], source: str) -> Frame:
    """Names and columns side by side; refuses doubled names, unequal lengths and tables without rows."""
    if not names:
        raise InputError(f"{source}: there is no column.", fix="Give a table with at least one feature.")
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise InputError(f"{source} has several columns named {', '.join(map(repr, twice[:8]))}.", fix="Rename one.")
    lengths = {name: len(column) for name, column in zip(names, columns, strict=True)}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name!r} {rows}" for name, rows in list(lengths.items())[:6])
        raise InputError(f"{source}: the columns differ in length ({shown}).", fix="Every column needs every row.")
    if not lengths[names[0]]:
        raise InputError(f"{source} has no rows.", fix="Give a table with at least one row.")
    return Frame({name: _chunked(c) for name, c in zip(names, columns, strict=True)}, source)


def columns_of(values: Mapping[str, Any]) -> dict[str, pa.ChunkedArray]:
    """Named values, one per row, as arrow data."""
    return {name: _chunked(_arrow(each, name)) for name, each in values.items()}


def _chunked(column: Any) -> pa.ChunkedArray:
    """One chunked column; views and extension types as the plain type beneath."""
    if isinstance(column, pa.Array):
        column = pa.chunked_array([column])
    if isinstance(column.type, pa.BaseExtensionType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)
    if pa.types.is_string_view(column.type):
        column = column.cast(pa.large_string())
    if pa.types.is_dictionary(column.type) and pa.types.is_string_view(column.type.value_type):
        parts = [
            pa.DictionaryArray.from_arrays(c.indices, c.dictionary.cast(pa.large_string())) for c in column.chunks
        ]
        column = pa.chunked_array(parts, pa.dictionary(column.type.index_type, pa.large_string()))
    if pa.types.is_run_end_encoded(column.type):
        column = column.cast(column.type.value_type)
    return column


def _pair(x: Any, y: Any) -> Frame:
    """Features and a target that goes by its own name, else "target" ("target 0", … for several columns)."""
    frame = _one(x)
    if hasattr(y, "columns") or isinstance(y, Mapping):
        targets = {_free(name, frame): column for name, column in _one(y).columns.items()}
    else:
        array = y if _is_series(y) else as_array(y)
        if array is None or getattr(array, "ndim", 1) not in (1, 2):
            raise InputError(f"The target has type {type(y).__name__}; expected one value per row.")
        if getattr(array, "ndim", 1) == 1:
            name = _free(str(getattr(y, "name", None) or "target"), frame)
            targets = {name: _chunked(_arrow(array, name))}
        else:
            names = ["target"] if array.shape[1] == 1 else [f"target {i}" for i in range(array.shape[1])]
            targets = {_free(n, frame): _chunked(_arrow(array[:, i], n)) for i, n in enumerate(names)}
    for name, column in targets.items():
        if len(column) != frame.rows:
            raise InputError(f"X has {frame.rows} rows, the target {name!r} has {len(column)}.", fix="Give one each.")
    frame.columns.update(targets)
    frame.targets = tuple(targets)
    return frame


def _free(name: str, frame: Frame) -> str:
    while name in frame.columns:
        name += " (target)"
    return name


def _is_series(values: Any) -> bool:
    return hasattr(values, "iloc") or hasattr(values, "to_arrow") or isinstance(values, pa.Array | pa.ChunkedArray)


def as_array(values: Any) -> np.ndarray | None:
    """NumPy arrays, torch tensors and (nested) lists as an array; None for anything else."""
    if hasattr(values, "detach") and hasattr(values, "cpu"):
        tensor = values.detach().cpu()
        values = tensor.float().numpy() if str(tensor.dtype) == "torch.bfloat16" else tensor.numpy()
    if hasattr(values, "toarray"):
        raise InputTypeError("Sparse matrices are not read.", fix="Give X.toarray().")
    if isinstance(values, list | tuple):
        try:
            values = np.array(values)
        except ValueError:
            raise InputError("The rows of the list differ in length.", fix="Every row needs every column.") from None
    return values if isinstance(values, np.ndarray) else None


def _label(name: Any) -> str:
    return " ".join(map(str, name)) if isinstance(name, tuple) else str(name)


def _arrow(values: Any, name: str) -> pa.ChunkedArray | pa.Array:
    """One column of any make as arrow data; objects of mixed types as text."""
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    if hasattr(values, "to_arrow"):
        return values.to_arrow()
    if hasattr(values, "detach"):
        values = as_array(values)
    if isinstance(values, np.ndarray):
        if values.ndim != 1:
            raise InputError(f"The column {name!r} has shape {values.shape}; expected one value per row.")
        if values.dtype.kind == "c":
            raise InputError(f"The column {name!r} holds complex numbers.", fix="Give real and imaginary part.")
        if values.dtype.kind in "US":
            values = values.astype(str).astype(object)
    elif not hasattr(values, "iloc"):
        if not isinstance(values, list | tuple):
            raise InputError(f"The column {name!r} is one {type(values).__name__}; expected a list of values.")
        values = list(values)
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        if isinstance(values, list) and all(isinstance(value, np.datetime64) for value in values):
            return pa.array(np.array(values))
        return pa.array([_text(value) for value in values], pa.large_string())


def _text(value: Any) -> str | None:
    """A value of no common type as text; None and NaN are missing."""
    if value is None or (isinstance(value, float) and value != value) or str(value) in ("<NA>", "NaT"):
        return None
    return str(value).encode("utf8", "replace").decode("utf8")


def _existing(path: Path) -> Path:
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected a file.", fix="Name the file in it.")
    if path.is_file():
        return path
    folder = path.parent
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    close = nearest(path.name, [*names, *BUNDLED])
    fix = f"Did you mean {close!r}?" if close else f"Give {ACCEPTED}."
    where = "" if folder.is_dir() else f" There is no folder {str(folder)!r}."
    raise InputError(f"There is no file {str(path)!r}.{where}", fix=fix)


def _bundled(name: str) -> Frame:
    """scikit-learn's own tables, class labels as words."""
    from sklearn import datasets

    data = getattr(datasets, f"load_{name}")()
    target = data.target
    if name not in ("digits", "diabetes"):
        target = np.asarray(data.target_names)[target]
    names = {"digits": "digit", "diabetes": "progression", "breast_cancer": "diagnosis", "wine": "cultivar"}
    features = {str(column): data.data[:, i] for i, column in enumerate(data.feature_names)}
    label = names.get(name, "species")
    frame = _one(features | {label: target})
    frame.source, frame.targets = name, (label,)
    return frame
