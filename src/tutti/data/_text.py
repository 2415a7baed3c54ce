"""Text files: encoding, delimiter, header and ragged rows; every cell stays text.

pyarrow splits the cells; it never guesses a type, so that `007`, `1,234` or `?` arrive as they were written.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
from pyarrow import csv as arrow_csv

from tutti.core import Finding, InputError
from tutti.data._bytes import copied, for_arrow, open_plain

SAMPLE = 1 << 18  # bytes looked at for delimiter and header
BLOCK = 1 << 23  # bytes that pyarrow parses at a time
DELIMITERS = ("\t", ";", "|", ",")  # in order of trust: a comma may also be a decimal sign
SPACES = " "  # stands for runs of blanks
_NAMES = {"\t": "tab", ";": "semicolon", "|": "pipe", ",": "comma", SPACES: "spaces"}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_RAGGED = re.compile(r"Expected \d+ columns, got \d+: (.*)", re.DOTALL)  # pyarrow's words for such a row
_CLOSE = "Close the quote in that line, or remove it."
_SIGNAL = 24  # so many columns of numbers without a name may be a signal


Header = bool | Callable[[list[str]], bool]  # whether the first row names the columns, or a judge of its cells


@dataclass
class TextFile:
    """A delimited text file in memory: column names, one text column each, and what was seen on the way."""

    names: list[str]
    columns: list[pa.ChunkedArray]
    delimiter: str
    numbered: bool  # no header: the names are positions
    findings: list[Finding] = field(default_factory=list)


def delimiter_name(delimiter: str) -> str:
    return _NAMES.get(delimiter, repr(delimiter))


def parse_delimiter(given: str) -> str:
    r"""One character, or a word for it: "comma", "semicolon", "tab", "\t", "pipe", "space" or "spaces"."""
    words = {name: sign for sign, name in _NAMES.items()} | {"space": SPACES, "\\t": "\t"}
    delimiter = words.get(given.lower(), given)
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise InputError(
            f"The delimiter {given!r} is not one character.", fix='Give one of "," ";" "|" "tab" "space".'
        )
    return delimiter


def read_text(path: Path, *, header: Header, delimiter: str | None = None) -> TextFile:
    """Reads CSV, TSV and their relatives, also packed (`open_plain`).

    UTF-8 (with or without a byte-order mark) or UTF-16; else Windows-1252 or Latin-1 with a notice. The
    delimiter is sniffed from the first records unless given: tab, semicolon, pipe, comma, or runs of spaces.
    Empty lines are skipped (in a file of one column they are missing values). A row with too many or too few
    cells raises and is named by its line.
    """
    content, findings = _utf8(path)
    sample = _sample(content if content is not None else _head(path))
    records = _records(sample)
    if not records:
        raise InputError(
            f"{path.name} is empty: it holds no line of text.", fix="Give a file with a header and rows."
        )
    delimiter = sniff(sample) if delimiter is None else parse_delimiter(delimiter)
    if delimiter == SPACES:
        content = re.sub(rb"[ \t]+", b" ", content if content is not None else _bytes(path))
        content = re.sub(rb"(?m)^ | (?=\r?$)", b"", content)
        sample = _sample(content)
    first = next(_rows(sample, delimiter), [""])
    if not isinstance(header, bool):
        header = header([cell.strip() for cell in first])
    names = _column_names(first, header, path.name)
    findings += _doubts_about_header(first, sample, delimiter, header)
    table = _split(path, content, delimiter, len(first))
    skip = 1 if header else 0
    if table.num_rows <= skip:
        raise InputError(f"{path.name} has a header but no rows.", fix="Use --no-header if its only line is data.")
    columns = [column.slice(skip) for column in table.columns]
    return TextFile(names, columns, delimiter, not header, findings)


def sniff(sample: str) -> str:
    """The delimiter of a text, from its first records.

    The first of tab, semicolon, pipe, comma that cuts every record into the same number (> 1) of cells; else
    runs of blanks where they do; else the sign that cuts at least 3 of 4 records alike (a ragged file); else a
    comma (a single column).
    """
    shares: dict[str, float] = {}
    for sign in (*DELIMITERS, SPACES):
        counts = Counter(len(row) for row in _some(_rows(sample, sign)))
        cells, times = counts.most_common(1)[0] if counts else (1, 0)
        shares[sign] = times / counts.total() if cells > 1 else 0.0
        if shares[sign] == 1.0:
            return sign
    best = max(shares, key=lambda sign: shares[sign])
    return best if shares[best] >= 0.75 else ","


def _some(rows: Iterator[list[str]]) -> list[list[str]]:
    return [row for _, row in zip(range(200), rows, strict=False)]


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    """The records of a text that are not empty; stops where quoting is broken."""
    if delimiter == SPACES:
        yield from (line.split() for line in text.splitlines() if line.strip())
        return
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if row:
                yield row
    except csv.Error:
        return


def _records(sample: str) -> list[str]:
    return [line for line in sample.splitlines() if line.strip()]


def _bytes(path: Path) -> bytes:
    with open_plain(path) as file:
        return file.read()


def _head(path: Path) -> bytes:
    with open_plain(path) as file:
        return file.read(SAMPLE)


def _sample(content: bytes) -> str:
    """The first records of UTF-8 bytes, cut at a line's end where the text goes on."""
    head = content[:SAMPLE]
    text = head.decode("utf-8-sig", errors="replace")
    if len(content) < SAMPLE:
        return text
    cut = max(text.rfind("\n"), text.rfind("\r"))
    return text[: cut + 1] if cut > 0 else text


def _utf8(path: Path) -> tuple[bytes | None, list[Finding]]:
    """None where the file can be streamed as UTF-8 as it stands, else its bytes turned into UTF-8."""
    bad = None
    with open_plain(path) as file:
        head = file.read(4)
        if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return _from_utf16(path), []
        block, tail = head + file.read(BLOCK), b""
        while block:
            if b"\x00" in block:
                raise InputError(
                    f"{path.name} holds zero bytes: it is not a text file.",
                    fix="tutti reads CSV, TSV, JSON lines, Parquet, Arrow and NPZ.",
                )
            chunk = tail + block
            try:
                chunk.decode("utf8")
                tail = b""
            except UnicodeDecodeError as error:
                if len(chunk) - error.start >= 4:
                    bad = error
                    break
                tail = chunk[error.start :]
            block = file.read(BLOCK)
    if bad is None and not tail:
        return None, []
    return _from_legacy(path)


def _from_utf16(path: Path) -> bytes:
    try:
        return _bytes(path).decode("utf16").encode("utf8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name} begins as UTF-16 but is not: {error.reason}.") from error


def _from_legacy(path: Path) -> tuple[bytes, list[Finding]]:
    content = _bytes(path)
    good = bad = 0
    for number, line in enumerate(content.splitlines(), start=1):
        if line.isascii():
            continue
        try:
            line.decode("utf8")
            good = good or number
        except UnicodeDecodeError:
            bad = bad or number
        if good and bad:
            raise InputError(
                f"{path.name} mixes encodings: line {good} is UTF-8, line {bad} is not.",
                fix="Save the whole file as UTF-8.",
            )
    try:
        text, encoding = content.decode("cp1252"), "Windows-1252"
    except UnicodeDecodeError:
        text, encoding = content.decode("latin1"), "Latin-1"
    message = f"The text is not UTF-8 (first on line {bad}); it was read as {encoding}. Save it as UTF-8 to be sure."
    finding = Finding(kind="encoding", where=path.name, message=message, severity="notice")
    return text.encode("utf8"), [finding]


def _column_names(first: list[str], header: bool, source: str) -> list[str]:
    if not header:
        return [str(i) for i in range(len(first))]
    names = [name.strip() or f"unnamed {i}" for i, name in enumerate(first)]
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        like_data = any(_NUMBER.fullmatch(name) for name in twice)
        fix = "The first row looks like data: use --no-header (header=False)." if like_data else "Rename one of each."
        if like_data and len(names) >= _SIGNAL:
            fix = f"{fix[:-1]}, or --data signals where each row is a label and a signal."
        raise InputError(f"{source} has several columns named {_listed(twice)}.", fix=fix)
    return names


def _listed(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names[:8]) + (", …" if len(names) > 8 else "")


def _doubts_about_header(first: list[str], sample: str, delimiter: str, header: bool) -> list[Finding]:
    """A warning where the first row looks like data though it names the columns, or the other way round."""
    rows = _some(_rows(sample, delimiter))[1:]
    numeric = [i for i, cell in enumerate(first) if _NUMBER.fullmatch(cell.strip())]
    if header and numeric and not _counts_up([first[i] for i in numeric]):
        shown = _listed([first[i].strip() for i in numeric])
        message = (
            f"The first row was read as column names, but it holds numbers ({shown}): use --no-header if it is data."
        )
        return [Finding(kind="header-looks-like-data", where="first row", message=message)]
    if header or len(rows) < 2:
        return []
    filled = [row for row in rows if len(row) == len(first)]
    named = [
        i
        for i in range(len(first))
        if i not in numeric and filled and all(_NUMBER.fullmatch(row[i].strip()) for row in filled)
    ]
    if not named:
        return []
    shown = _listed([first[i].strip() for i in named])
    message = f"The first row was read as data, but holds words above numbers ({shown}); names need no --no-header."
    return [Finding(kind="first-row-looks-like-names", where="first row", message=message)]


def _counts_up(cells: list[str]) -> bool:
    """Whether numeric column names are a plain count (0, 1, 2 …; 1990, 1991 …) as people do write them."""
    try:
        values = [int(cell) for cell in cells]
    except ValueError:
        return False
    return len(values) > 1 and all(b - a == 1 for a, b in pairwise(values))


def _split(path: Path, content: bytes | None, delimiter: str, cells: int) -> pa.Table:
    """All records as columns of text, line breaks inside quotes included."""
    names = [str(i) for i in range(cells)]
    with for_arrow(path) if content is None else copied(io.BytesIO(content)) as source:
        try:
            # No invalid_row_handler: pyarrow's threads would hold a Python function; see `for_arrow`.
            table = arrow_csv.read_csv(
                source,
                read_options=arrow_csv.ReadOptions(column_names=names, block_size=BLOCK),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=cells > 1
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True
                ),
            )
        except (pa.ArrowInvalid, OSError, EOFError) as error:
            ragged = _RAGGED.search(str(error))
            if ragged:
                raise _ragged_error(path, content, delimiter, cells, ragged[1]) from error
            fix = "Is a quote left open?"
            raise InputError(f"{path.name} cannot be read as text: {error}.", fix=fix) from error
    last = table.columns[-1][-1].as_py() if table.num_rows else None
    if last is not None and re.search(r"[\r\n]", last):
        _refuse_open_quote(path, content, delimiter)
    return table


def _ragged_error(path: Path, content: bytes | None, delimiter: str, cells: int, row: str) -> InputError:
    """Names the first line whose number of cells is not that of the first row, or where its quote opens."""
    where, fix = "One row", "Correct that line, quote cells that hold the delimiter, or name the delimiter."
    for begin, end, found in _lines_of_records(path, content, delimiter):
        if found != cells:
            where = f"Line {begin} has {found} cells; it"
            if end > begin:
                where, fix = f"The row from line {begin}, where a quote opens, to line {end}", _CLOSE
            break
    shown = row if len(row) <= 60 else row[:60] + "…"
    return InputError(
        f"{path.name}: the first row has {cells} cells (delimiter: {delimiter_name(delimiter)}). "
        f"{where} does not fit: {shown!r}.",
        fix=fix,
    )


def _refuse_open_quote(path: Path, content: bytes | None, delimiter: str) -> None:
    """InputError where the last cell, which holds line breaks, has no closing quote: pyarrow lets it swallow the
    rest of the file."""
    text = (content if content is not None else _bytes(path)).rstrip(b"\r\n")
    if text.endswith(b'"'):
        return
    begin = max(first for first, _, _ in _lines_of_records(path, content, delimiter))
    raise InputError(f"{path.name}: a quote opens in line {begin} and is not closed.", fix=_CLOSE)


def _lines_of_records(path: Path, content: bytes | None, delimiter: str) -> Iterator[tuple[int, int, int]]:
    """The first and the last line of each record that is not empty, and its number of cells; of one that is longer
    than Python's csv reads, its first line, the last one read, and 0."""
    text = (content if content is not None else _bytes(path)).decode("utf-8-sig")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    end = 0
    try:
        for record in reader:
            if record:
                yield end + 1, reader.line_num, len(record)
            end = reader.line_num
    except csv.Error:
        yield end + 1, reader.line_num, 0
