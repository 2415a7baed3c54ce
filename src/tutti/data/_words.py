"""Text taken apart: normalised, cut into words or characters, each with a number of its own."""

import re
import unicodedata
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int

_SIGNS = (
    r"!-/:-@\[-\^`{-~\u00a1-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u00d7\u00f7\u055a-\u055f\u060c\u061b\u061f"
    r"\u06d4\u0964\u0965\u2010-\u2027\u2030-\u205e\u20a0-\u20bf\u2190-\u2bff\u3001-\u3003\u3008-\u303f\uff01-\uff0f"
    r"\uff1a-\uff20\U0001f000-\U0001faff"
)
_WORD = re.compile(rf"[^\s{_SIGNS}]+(?:['\u2019][^\s{_SIGNS}]+)*|[{_SIGNS}]")
_ALONE = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f])")
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,200}>")


def normalise(text: str, *, lower: bool = True) -> str:
    """The text in Unicode's NFKC form (wide letters, ligatures, composed accents as one), and in lower case."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return text.lower() if lower else text


def words_of(text: str, *, lower: bool = True) -> list[str]:
    """Words and signs, in order.

    The text is normalised and tags of markup (<br />) become spaces. A word is a run of letters, digits, marks and
    underscores, with apostrophes inside ("don't"); every punctuation sign, symbol and emoji stands alone; so does
    every Chinese and Japanese character, as their words have no spaces between.
    """
    text = normalise(text, lower=lower)
    if "<" in text:
        text = _TAG.sub(" ", text)
    if not text.isascii():
        text = _ALONE.sub(r" \1 ", text)
    return _WORD.findall(text)


@dataclass(frozen=True)
class Ragged:
    """Rows of whole numbers of unequal lengths: row i is values[starts[i] : starts[i + 1]]."""

    values: Int[np.ndarray, " all"]
    starts: Int[np.ndarray, " rows_and_one"]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def row(self, i: int) -> Int[np.ndarray, " some"]:
        return self.values[self.starts[i] : self.starts[i + 1]]

    @cached_property
    def lengths(self) -> Int[np.ndarray, " rows"]:
        return np.diff(self.starts)

    @cached_property
    def rows(self) -> Int[np.ndarray, " all"]:
        """The row of each value."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def take(self, rows: Int[np.ndarray, " taken"]) -> "Ragged":
        lengths = self.lengths[rows]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        places = np.arange(starts[-1]) - np.repeat(starts[:-1] - self.starts[rows], lengths)
        return Ragged(self.values[places], starts)


@dataclass(frozen=True)
class Split:
    """Texts as numbers of their parts: part i of `levels`, in the order in which they are first met."""

    parts: Ragged
    levels: tuple[str, ...]

    def counts(self, rows: Int[np.ndarray, " some"]) -> Int[np.ndarray, " level"]:
        """How often each part occurs in these rows."""
        return np.bincount(self.parts.take(rows).values, minlength=len(self.levels))

    def take(self, rows: Int[np.ndarray, " taken"]) -> "Split":
        return Split(self.parts.take(rows), self.levels)


class _Numbers(dict[str, int]):
    """Gives every new key the next number."""

    def __missing__(self, key: str) -> int:
        self[key] = number = len(self)
        return number


def split(texts: Iterable[str], *, characters: bool = False, lower: bool = True) -> Split:
    """Texts cut into words (`words_of`), or into characters (normalised, blanks as they are)."""
    numbers = _Numbers()
    number = numbers.__getitem__
    values, starts = array("i"), array("q", [0])
    for text in texts:
        values.extend(map(number, normalise(text, lower=lower) if characters else words_of(text, lower=lower)))
        starts.append(len(values))
    return Split(Ragged(np.array(values, np.int32), np.array(starts, np.int64)), tuple(numbers))


def single_words(texts: Iterable[str]) -> bool:
    """Whether most texts are of at most two words (names, codes), so that their letters say more."""
    counts = [len(text.split()) for text in texts]
    return bool(counts) and float(np.median(counts)) <= 2
