"""Texts: kept as they were written; numbers of tokens once it is known which rows train."""

import hashlib
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Int, Shaped, UInt64
from torch import Tensor, nn

from tutti.core import Finding, InputError, Splits, TextShape
from tutti.data._row_content import first_alike
from tutti.data._sample import Encoded, Sample
from tutti.data._texts_alike import near_copies_of, sequence_hashes
from tutti.data._texts_worth import slot_worths
from tutti.data._tokens import FIRST, UNKNOWN, Tokeniser, fit_tokeniser, of_split
from tutti.data._words import Ragged, Split, single_words, split

LONGEST = 1024  # tokens of a text that are kept, where the user does not say
USUAL = 0.99  # the share of training texts that are kept whole, below that; all of them
SHORT = 128  # where none is longer than so many tokens
HEAD = 4  # of a text that is cut the first quarter stays, and the last three quarters
MANY_UNKNOWN = 0.1  # the share of the judging texts' tokens from which unknown ones are a warning
SHOWN = 300  # letters of an example
_WORD = re.compile(r"^\s+|\S+\s*")


class Corpus:
    """Texts as they were written, and what is worked out of them once for all who ask."""

    def __init__(self, texts: Shaped[np.ndarray, " rows"]) -> None:
        self.texts = texts

    @cached_property
    def words(self) -> Split:
        return split(self.texts)

    @cached_property
    def characters(self) -> Split:
        return split(self.texts, characters=True)

    @cached_property
    def single(self) -> bool:
        return single_words(self.texts)

    @cached_property
    def hashes(self) -> UInt64[np.ndarray, " rows"]:
        digests = (hashlib.blake2b(_bytes(text), digest_size=8).digest() for text in self.texts)
        return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def _bytes(text: str) -> bytes:
    return text.encode("utf8", "surrogatepass")


@dataclass(frozen=True, kw_only=True, eq=False)
class Texts(Sample):
    """Texts of one source. `settled` learns the vocabulary from the training rows and makes tokens of all texts.

    corpus: the texts. column: the column of the source that holds them, where it has columns.
    unit, vocabulary, length: as the user asked (see data.Reading); None: words, or characters where most texts are
        of one or two words; data/_tokens.SIZES; `usual_length` of the training texts.
    tokeniser: None until settled. tokens int32 [row, length], 0 behind a text's end; lengths int32 [row], at least
        1: an empty text is one unknown token. Of a text that is too long the first quarter of `length` and the last
        three quarters stay (Sun et al. 2019, "How to fine-tune BERT", found both ends better than either).
    full: how many tokens each text has before it is cut.
    """

    kind: ClassVar[str] = "text"

    corpus: Corpus
    column: str | None = None
    unit: str | None = None
    vocabulary: int | None = None
    length: int | None = None
    tokeniser: Tokeniser | None = None
    tokens: Int[Tensor, "rows time"] | None = field(default=None, repr=False)
    lengths: Int[Tensor, " rows"] | None = field(default=None, repr=False)
    full: Int[np.ndarray, " rows"] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.corpus.texts)

    @property
    def shape(self) -> TextShape:
        if self.tokeniser is None or self.tokens is None:
            return TextShape(tokens=FIRST, length=0)
        return TextShape(tokens=self.tokeniser.size, length=self.tokens.shape[1])

    def inputs(self) -> tuple[Tensor, ...]:
        if self.tokens is None or self.lengths is None:
            raise InputError(
                "These texts have no vocabulary yet.", fix="Learn it from training rows: table.settled(rows)."
            )
        return self.tokens, self.lengths

    def fit(self, network: nn.Module, rows: Int[np.ndarray, " train"], target: Encoded = None) -> dict[str, Tensor]:
        """`worth` of every layer that has this buffer (see `slot_worths`), which gives each text's slots by its
        `slots`."""
        fitted = {}
        for name, layer in network.named_modules():
            if "worth" in dict(layer.named_buffers(recurse=False)):
                key = (str(layer), layer.worth.shape, rows.tobytes(), None if target is None else target.tobytes())
                if key not in self.worths:  # it takes as long as many training steps
                    self.worths[key] = slot_worths(layer, self.inputs(), rows, target)
                fitted[f"{name}.worth" if name else "worth"] = self.worths[key]
        return fitted

    @cached_property
    def worths(self) -> dict[tuple[Any, ...], Tensor]:
        """What `fit` has worked out."""
        return {}

    def settled(self, rows: Int[np.ndarray, " train"]) -> "Texts":
        if self.tokeniser is not None:
            return self
        unit = self.unit or ("character" if self.corpus.single else "word")
        parts = {"word": lambda: self.corpus.words, "character": lambda: self.corpus.characters}.get(unit)
        if parts is None:
            tokeniser = fit_tokeniser(self.corpus.texts[rows], unit, self.vocabulary)
            return self._tokenised(tokeniser, tokeniser.encode(self.corpus.texts), rows)
        known = of_split(parts(), rows, unit, self.vocabulary)
        return self._tokenised(known, known.tokens(parts()), rows)

    def told(self, tokeniser: Tokeniser, length: int) -> "Texts":
        """These texts by a vocabulary that is known already."""
        return replace(self, length=length)._tokenised(tokeniser, tokeniser.encode(self.corpus.texts), None)

    def _tokenised(self, tokeniser: Tokeniser, found: Ragged, rows: np.ndarray | None) -> "Texts":
        length = self.length or usual_length(found.lengths if rows is None else found.lengths[rows])
        tokens, lengths = padded(found, length)
        return replace(
            self,
            unit=tokeniser.unit,
            length=length,
            tokeniser=tokeniser,
            tokens=torch.from_numpy(tokens),
            lengths=torch.from_numpy(lengths),
            full=found.lengths,
        )

    def take(self, rows: Int[np.ndarray, " taken"]) -> "Texts":
        index = np.asarray(rows, np.int64)
        corpus = Corpus(self.corpus.texts[index])
        if self.tokens is None or self.lengths is None or self.full is None:
            return replace(self, corpus=corpus)
        chosen = torch.from_numpy(index)
        return replace(
            self, corpus=corpus, tokens=self.tokens[chosen], lengths=self.lengths[chosen], full=self.full[index]
        )

    def joined(self, other: Any) -> "Texts":
        corpus = Corpus(np.concatenate([self.corpus.texts, other.corpus.texts]))
        both = replace(self, corpus=corpus)
        if self.tokeniser is None:
            return both
        assert self.length is not None
        return both.told(self.tokeniser, self.length)

    def hashes(self) -> UInt64[np.ndarray, " rows"]:
        return self.corpus.hashes

    def alike(self) -> Int[np.ndarray, " rows"]:
        """Texts of the same words and signs in the same order, whatever their case, blanks and markup."""
        return first_alike(sequence_hashes(self.corpus.words))

    def leaks(self, splits: Splits, *, given: bool) -> list[Finding]:
        """What settling says of the vocabulary and of long texts, and near-copies of training texts among those
        that judge (`near_copies_of`)."""
        findings = [] if self.tokeniser is None else self._settlement(splits)
        return findings + near_copies_of(self.corpus.words, self.hashes(), splits)

    def _settlement(self, splits: Splits) -> list[Finding]:
        assert self.tokeniser is not None
        assert self.full is not None
        assert self.tokens is not None
        where = self.column or "texts"
        units = {"word": "words", "character": "characters"}.get(self.tokeniser.unit, "tokens")
        message = (
            f"The vocabulary, {self.tokeniser.size:,} {units}, was learnt from the {len(splits.train):,} training "
            "texts; the folds share it."
        )
        found = [Finding(kind="vocabulary", where=where, message=message, severity="notice")]
        length = self.tokens.shape[1]
        long = int((self.full > length).sum())
        if long:
            message = (
                f"{long:,} of {len(self):,} texts have more than {length:,} {units} (up to {self.full.max():,}); "
                "their first quarter of that and their last three quarters are kept. --length N keeps more."
            )
            found.append(Finding(kind="long-texts", where=where, message=message, severity="notice"))
        judged = splits.test if len(splits.test) else splits.validated
        missing = self._unknown(judged)
        if missing > MANY_UNKNOWN:
            message = (
                f"{missing:.0%} of the {units} that judge are not in the vocabulary of the training texts: "
                "--unit bpe or --unit character reads any text, --vocabulary N keeps more."
            )
            found.append(Finding(kind="unknown-tokens", where=where, message=message))
        return found

    def _unknown(self, rows: Int[np.ndarray, " some"]) -> float:
        """The share of unknown tokens in these texts; empty ones count for nothing."""
        assert self.tokens is not None
        assert self.full is not None
        rows = rows[self.full[rows] > 0]
        tokens = self.tokens[torch.from_numpy(rows)]
        total = int((tokens > 0).sum())
        return float((tokens == UNKNOWN).sum()) / total if total else 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "shape": self.shape.to_json(),
            "column": self.column,
            "unit": self.unit,
            "vocabulary": self.vocabulary,
            "length": self.length,
            "tokeniser": None if self.tokeniser is None else self.tokeniser.to_json(),
        }

    @property
    def summary(self) -> str:
        lengths = self.full if self.full is not None else self.corpus.words.parts.lengths
        units = {"character": "characters", "bpe": "byte pairs", "wordpiece": "word pieces"}
        unit = "words" if self.full is None else units.get(str(self.unit), "words")
        return (
            f"{len(self):,} texts of {lengths.min():,}–{lengths.max():,} {unit} (median {int(np.median(lengths)):,})"
        )

    def example(self, row: int) -> dict[str, Any]:
        text = str(self.corpus.texts[row])
        head = _head(text)
        return {"kind": "text", "text": head if len(head) == len(text) else f"{head}…"}

    def without_parts(self, row: int) -> tuple[list[str], Sample] | None:
        """The words that are shown, each with the blanks behind it."""
        text = str(self.corpus.texts[row])
        words = _WORD.findall(_head(text))
        if self.tokeniser is None or self.length is None or len(words) < 2:
            return None
        ends = np.cumsum([len(word) for word in words])
        less = [text[: end - len(word)] + text[end:] for word, end in zip(words, ends, strict=True)]
        corpus = Corpus(np.array([text, *less], dtype=object))
        return words, replace(self, corpus=corpus).told(self.tokeniser, self.length)


def _head(text: str) -> str:
    """The words that an example shows, whole ones where the last one is not endless."""
    if len(text) <= SHOWN:
        return text
    cut = max(text.rfind(blank, 0, SHOWN) for blank in " \n\t")
    return text[: cut + 1] if cut > SHOWN // 2 else text[:SHOWN]


def usual_length(lengths: Int[np.ndarray, " rows"]) -> int:
    """The longest, but at most SHORT or the 99th percentile; rounded up to a multiple of 8; from 8 to LONGEST."""
    most = max(SHORT, float(np.quantile(lengths, USUAL))) if len(lengths) else 1.0
    most = min(most, float(lengths.max(initial=1)))
    return int(min(LONGEST, max(8, -(-most // 8) * 8)))


def padded(found: Ragged, length: int) -> tuple[Int[np.ndarray, "rows time"], Int[np.ndarray, " rows"]]:
    """Tokens as one array with 0 behind each text's end, both ends of those that are too long, and the lengths."""
    if length < 1:
        raise InputError(f"A length of {length} tokens.", fix="Give at least 1.")
    full = found.lengths
    lengths = np.clip(full, 1, length).astype(np.int32)
    head = length // HEAD
    place = np.arange(len(found.values)) - np.repeat(found.starts[:-1], full)
    over = np.maximum(full - length, 0)[found.rows]
    kept = (over == 0) | (place < head) | (place >= head + over)
    column = np.where(place < head, place, place - over)
    tokens = np.zeros((len(found), length), np.int32)
    tokens[found.rows[kept], column[kept]] = found.values[kept]
    tokens[full == 0, 0] = UNKNOWN
    return tokens, lengths
