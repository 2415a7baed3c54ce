"""Tokenisers: texts become numbers. Words, characters, word pieces, byte pairs; learnt, saved, undone."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Int

from tutti.core import InputError, unknown
from tutti.data._words import Ragged, Split, split

PADDING, UNKNOWN, FIRST = 0, 1, 2
"""Token 0 fills up, token 1 stands for what the vocabulary lacks; the vocabulary begins at 2."""

SIZES = {"word": 50_000, "character": 2_000, "wordpiece": 8_000, "bpe": 8_000}
"""Unit -> how many tokens there are at most, 0 and 1 among them."""

TWICE = 1_000  # texts from which a word must occur twice to be learnt


class Tokeniser(ABC):
    """Texts <-> token numbers. `size` counts all tokens, padding (0) and unknown (1) among them."""

    unit: ClassVar[str]
    size: int

    @abstractmethod
    def encode(self, texts: Iterable[str]) -> Ragged:
        """The tokens of each text, int32; none for an empty text."""

    @abstractmethod
    def decode(self, tokens: Sequence[int] | Int[np.ndarray, " time"]) -> str:
        """The text of these tokens; padding and unknown ones are left out."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """{"unit": …}: everything that `tokeniser_from_json` needs."""


class _Levels(Tokeniser):
    """Parts that `split` finds, by frequency: the most frequent is token 2."""

    joint: ClassVar[str]

    def __init__(self, levels: Sequence[str], *, lower: bool) -> None:
        self.levels = tuple(levels)
        self.lower = lower
        self.size = FIRST + len(self.levels)
        self._numbers = {level: FIRST + i for i, level in enumerate(self.levels)}

    def encode(self, texts: Iterable[str]) -> Ragged:
        return self.tokens(split(texts, characters=self.unit == "character", lower=self.lower))

    def tokens(self, parts: Split) -> Ragged:
        """The tokens of texts that are split already, in this unit."""
        lookup = np.array([self._numbers.get(level, UNKNOWN) for level in parts.levels], np.int32)
        return Ragged(lookup[parts.parts.values] if len(lookup) else parts.parts.values, parts.parts.starts)

    def decode(self, tokens: Sequence[int] | Int[np.ndarray, " time"]) -> str:
        return self.joint.join(self.levels[t - FIRST] for t in map(int, tokens) if t >= FIRST)

    def to_json(self) -> dict[str, Any]:
        return {"unit": self.unit, "lower": self.lower, "levels": list(self.levels)}


class Words(_Levels):
    """Words and signs; `decode` joins them by spaces."""

    unit = "word"
    joint = " "


class Characters(_Levels):
    """Single characters. Without lower-casing and for NFKC texts `decode` undoes `encode` exactly."""

    unit = "character"
    joint = ""


class Pieces(Tokeniser):
    """Parts of words, by the library `tokenizers` of Hugging Face.

    "bpe": byte pairs (Sennrich et al. 2016) over bytes as in GPT-2, so that no text has an unknown token and decode
    undoes encode. "wordpiece": the longest pieces that match, from a word's beginning, as in BERT.
    """

    def __init__(self, unit: str, text: str) -> None:
        self.unit = unit  # type: ignore[misc]  # two units share this class
        self._text = text
        self._tokenizer = _library().Tokenizer.from_str(text)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.size = int(self._tokenizer.get_vocab_size())

    def encode(self, texts: Iterable[str]) -> Ragged:
        found = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)]
        starts = np.concatenate([[0], np.cumsum([len(ids) for ids in found])]).astype(np.int64)
        return Ragged(np.fromiter((i for ids in found for i in ids), np.int32, int(starts[-1])), starts)

    def decode(self, tokens: Sequence[int] | Int[np.ndarray, " time"]) -> str:
        return str(self._tokenizer.decode([int(t) for t in tokens], skip_special_tokens=True))

    def to_json(self) -> dict[str, Any]:
        return {"unit": self.unit, "tokenizer": json.loads(self._text)}


UNITS = tuple(SIZES)


def fit_tokeniser(
    texts: Iterable[str], unit: str = "word", size: int | None = None, *, lower: bool = True
) -> Tokeniser:
    """Learns a vocabulary of at most `size` tokens (default: SIZES) from these texts.

    Words and characters are taken by frequency, equal ones in the order in which they are met; from 1,000 texts on
    a word must occur twice. lower: letters lose their case.
    """
    if unit not in SIZES:
        raise unknown("unit of text", unit, SIZES)
    if unit in ("word", "character"):
        parts = split(texts, characters=unit == "character", lower=lower)
        return of_split(parts, np.arange(len(parts.parts)), unit, size, lower=lower)
    return _learnt_pieces(texts, unit, _checked(size, unit), lower)


def of_split(
    parts: Split, rows: Int[np.ndarray, " some"], unit: str, size: int | None = None, *, lower: bool = True
) -> Words | Characters:
    """`fit_tokeniser` for texts that are split already, learnt from these rows."""
    counts = parts.counts(rows)
    order = np.argsort(-counts, kind="stable")[: _checked(size, unit) - FIRST]
    least = 2 if unit == "word" and len(rows) >= TWICE else 1
    kind = Words if unit == "word" else Characters
    return kind([parts.levels[i] for i in order if counts[i] >= least], lower=lower)


def tokeniser_from_json(data: Mapping[str, Any]) -> Tokeniser:
    """The tokeniser that `to_json` described."""
    unit = str(data.get("unit"))
    if unit in ("word", "character"):
        return (Words if unit == "word" else Characters)(data["levels"], lower=bool(data["lower"]))
    if unit not in SIZES:
        raise unknown("unit of text", unit, SIZES)
    return Pieces(unit, json.dumps(data["tokenizer"]))


def _checked(size: int | None, unit: str) -> int:
    size = SIZES[unit] if size is None else size
    least = {"bpe": 2 + 256, "wordpiece": 64}.get(unit, 3)
    if size < least:
        raise InputError(f"A vocabulary of {size} tokens of the unit {unit!r}.", fix=f"Give at least {least}.")
    return size


def _library() -> Any:
    try:
        import tokenizers
    except ImportError:
        raise InputError(
            'Word pieces and byte pairs need the package "tokenizers".',
            fix='Install it: pip install "tutti[text]"; or take unit="word".',
        ) from None
    return tokenizers


def _learnt_pieces(texts: Iterable[str], unit: str, size: int, lower: bool) -> Pieces:
    library = _library()
    models, before, after = library.models, library.pre_tokenizers, library.decoders
    form, trainers = library.normalizers, library.trainers
    special = ["<pad>", "<unk>"]
    if unit == "bpe":
        tokenizer = library.Tokenizer(models.BPE())
        tokenizer.pre_tokenizer, tokenizer.decoder = before.ByteLevel(add_prefix_space=False), after.ByteLevel()
        tokenizer.normalizer = form.Lowercase() if lower else None
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=special,
            initial_alphabet=before.ByteLevel.alphabet(),
            show_progress=False,
        )
    else:
        tokenizer = library.Tokenizer(models.WordPiece(unk_token=special[UNKNOWN]))
        clean = form.BertNormalizer(handle_chinese_chars=True, strip_accents=False, lowercase=lower)
        tokenizer.normalizer = form.Sequence([form.NFKC(), clean])
        tokenizer.pre_tokenizer, tokenizer.decoder = before.BertPreTokenizer(), after.WordPiece()
        trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(list(texts), trainer)
    return Pieces(unit, tokenizer.to_str())
