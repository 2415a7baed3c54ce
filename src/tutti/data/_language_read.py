"""Reads running text for a language model: a file, a folder of text files, a string or several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from tutti.core import Finding, InputError
from tutti.data._language import ROOM, Prose, windows_of
from tutti.data._reading import Reading
from tutti.data._sample import Found
from tutti.data._texts_read import SUFFIX, decoded, suffix
from tutti.data._tokens import UNKNOWN, Tokeniser, fit_tokeniser, tokeniser_from_json

USUAL = 64  # tokens that a window looks back on
SHARES = 0.1, 0.1  # of the text, for validation and test
ALPHABET = 512  # different characters up to which they are the tokens
FEWEST = 400  # characters of a text
BETWEEN = "\n\n"  # texts of one source
MANY_UNKNOWN = 0.01  # the share of the judging tokens from which unknown ones are a warning


class ProseReader:
    """Reads running text. Only where it is asked for: generate=True, or data="language"."""

    kind = "language"

    def claims(self, source: Any, reading: Reading) -> bool:
        return False

    def read(self, source: Any, reading: Reading) -> Found:
        """The text in three contiguous parts: what trains first, then what validates, then the test."""
        text, name, findings = _text(source)
        parts = _parts(text, reading)
        if len(parts.train) < FEWEST / 2:
            raise InputError(
                f"{name} has {len(text):,} characters, of which {len(parts.train):,} train.",
                fix=f"Give at least {FEWEST}.",
            )
        unit = reading.unit or ("character" if len(set(parts.train)) <= ALPHABET else "bpe")
        tokeniser = fit_tokeniser([parts.train], unit, reading.vocabulary, lower=False)
        tokens = [_encoded(tokeniser, part) for part in (parts.train, parts.validation, parts.test)]
        sample, validation, test = _laid_out(tokens, tokeniser, reading.length)
        return Found(
            sample=sample,
            columns={},
            targets=("text",),
            dense=sample.windows,
            task="language",
            validation=validation,
            test=test,
            source=name,
            findings=(*findings, *_told(tokens, tokeniser, name)),
        )

    def encode(self, description: Mapping[str, Any], source: Any, reading: Reading) -> Found:
        """A new text in windows that judge: each token once, but for the first and those of an unfinished window."""
        text, name, findings = _text(source)
        tokeniser = tokeniser_from_json(description["tokeniser"])
        stream, length = _encoded(tokeniser, text), int(description["shape"]["length"])
        sample = Prose(
            stream=stream,
            starts=windows_of(0, len(stream), length, length, what=name),
            parts=(0,),
            length=length,
            tokeniser=tokeniser,
        )
        missing = _unknown(stream, tokeniser, name)
        return Found(
            sample=sample,
            columns={},
            targets=("text",),
            dense=sample.windows,
            task="language",
            source=name,
            findings=(*findings, *missing),
        )


@dataclass(frozen=True)
class _Parts:
    train: str
    validation: str
    test: str


def _parts(text: str, reading: Reading) -> _Parts:
    """The text cut in three: by `parts` characters, else SHARES of it at its end."""
    whole = len(text)
    if reading.parts is not None:
        sizes = [int(part) for part in reading.parts]
        if len(sizes) != 3 or min(sizes[:2]) < 1 or sizes[2] < 0 or sum(sizes) > whole:
            raise InputError(
                f"The parts of the text are {sizes}; it has {whole:,} characters.",
                fix="Give three numbers: characters that train, validate and test; the last may be 0.",
            )
    else:
        test = round((SHARES[1] if reading.test_size is None else reading.test_size) * whole)
        validation = round(SHARES[0] * whole)
        sizes = [whole - validation - test, validation, test]
        if sizes[0] < whole / 4:
            raise InputError(f"A test of {test / whole:.0%} of the text leaves too little.", fix="Hold out less.")
    a, b = sizes[0], sizes[0] + sizes[1]
    return _Parts(text[:a], text[a:b], text[b : b + sizes[2]])


def _laid_out(
    tokens: Sequence[Int[np.ndarray, " _part"]], tokeniser: Tokeniser, length: int | None
) -> tuple[Prose, Int[np.ndarray, " validation"], Int[np.ndarray, " test"]]:
    """The windows of the three parts, and which of them validate and test."""
    sizes = [len(part) for part in tokens]
    length = length or max(8, min(USUAL, sum(sizes) // 200))
    if length < 1:
        raise InputError(f"A length of {length} tokens.", fix="Give at least 1.")
    every = max(1, min(length, -(-sizes[0] * (length + 1) // ROOM)))
    begins = np.cumsum([0, *sizes])
    starts = [
        windows_of(0, sizes[0], length, every, what="part that trains"),
        windows_of(int(begins[1]), int(begins[2]), length, length, what="part that validates"),
    ]
    if sizes[2]:
        starts.append(windows_of(int(begins[2]), int(begins[3]), length, length, what="part for the test"))
    sample = Prose(
        stream=np.concatenate(tokens),
        starts=np.concatenate(starts),
        parts=tuple(int(b) for b in begins[:-1]),
        length=length,
        tokeniser=tokeniser,
    )
    first = len(starts[0]) + len(starts[1])
    return sample, np.arange(len(starts[0]), first), np.arange(first, len(sample))


def _encoded(tokeniser: Tokeniser, text: str) -> Int[np.ndarray, " token"]:
    return np.array(tokeniser.encode([text]).values, np.int32)


def _told(tokens: Sequence[Int[np.ndarray, " _part"]], tokeniser: Tokeniser, name: str) -> list[Finding]:
    units = {"word": "words", "character": "characters"}.get(tokeniser.unit, "tokens")
    train, validation, test = (f"{len(part):,}" for part in tokens)
    message = (
        f"The first {train} {units} train, the {validation} behind them validate"
        + (f", the last {test} are the test" if len(tokens[2]) else "")
        + f". The vocabulary, {tokeniser.size:,} {units}, was learnt from those that train."
    )
    found = [Finding(kind="vocabulary", where=name, message=message, severity="notice")]
    return found + _unknown(np.concatenate(tokens[1:]), tokeniser, name)


def _unknown(tokens: Int[np.ndarray, " some"], tokeniser: Tokeniser, name: str) -> list[Finding]:
    """A warning where the text that judges has many tokens that the vocabulary lacks: they are easy to predict."""
    share = float((tokens == UNKNOWN).mean()) if len(tokens) else 0.0
    if share < MANY_UNKNOWN:
        return []
    message = (
        f"{share:.0%} of the tokens that judge are not in the vocabulary and count as one and the same: its "
        "perplexity is not that of the text. --unit bpe or --unit character reads any text."
    )
    return [Finding(kind="unknown-tokens", where=name, message=message)]


def is_prose(source: Any) -> bool:
    """Whether a string is a text itself and no path: it has several lines, or is too long."""
    return isinstance(source, str) and ("\n" in source or len(source) >= FEWEST)


def _text(source: Any) -> tuple[str, str, list[Finding]]:
    """The whole text, a name for it, and what was odd."""
    if is_prose(source):
        return _clean(source), "text", []
    if isinstance(source, str | Path):
        return _from_path(Path(source))
    if isinstance(source, Sequence) and source and all(isinstance(text, str) for text in source):
        return _clean(BETWEEN.join(source)), f"{len(source)} texts", []
    raise InputError(
        f"A language model cannot be made of a {type(source).__name__}.",
        fix=f"Give a {SUFFIX} file, a folder of them, a string, or a list of strings.",
    )


def _from_path(path: Path) -> tuple[str, str, list[Finding]]:
    if path.is_dir():
        files = sorted(f for f in path.rglob("*") if f.is_file() and suffix(f) == SUFFIX)
        if not files:
            raise InputError(f"{path} holds no {SUFFIX} files.", fix="Give a folder of texts, or one text file.")
    elif path.is_file():
        files = [path]
    else:
        raise InputError(f"There is no file or folder {str(path)!r}.", fix="Check the path.")
    texts, odd = [], []
    for file in files:
        text, encoding = decoded(file)
        if text is None:
            raise InputError(f"{file} is not a text: it holds zero bytes.", fix="Give a text file.")
        if encoding not in ("UTF-8", "UTF-16"):
            odd.append(file.name)
        texts.append(text)
    findings = []
    if odd:
        message = f"{len(odd)} of {len(files)} files are not UTF-8 ({odd[0]}); they were read as Windows-1252."
        findings.append(Finding(kind="encoding", where=path.name, message=message, severity="notice"))
    return _clean(BETWEEN.join(texts)), path.name, findings


def _clean(text: str) -> str:
    """Lines end in one sign."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
