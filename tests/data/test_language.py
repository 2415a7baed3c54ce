"""Running text: windows, parts, vocabularies, and what cannot be read."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from tutti.core import InputError
from tutti.data import Prose, Reading, encode, is_prose, read

TEXT = "".join(f"{i} bottles of beer on the wall, take one down.\n" for i in range(400))
ASKED = Reading(generate=True)


def prose(source: object = TEXT, **told: object) -> tuple[Prose, np.ndarray, np.ndarray]:
    table = read(source, reading=Reading(generate=True, **told))  # type: ignore[arg-type]
    assert isinstance(table.sample, Prose)
    assert table.validation is not None
    assert table.test is not None
    return table.sample, table.validation, table.test


def covered(sample: Prose, rows: np.ndarray) -> set[int]:
    return {int(s) + i for s in sample.starts[rows] for i in range(sample.length + 1)}


def test_the_parts_share_no_token_and_judged_windows_predict_each_token_once() -> None:
    sample, validation, test = prose(length=16)
    train = np.setdiff1d(np.arange(len(sample)), [*validation, *test])
    sides = [covered(sample, rows) for rows in (train, validation, test)]
    assert not sides[0] & sides[1]
    assert not sides[1] & sides[2]
    assert max(sides[0]) < min(sides[1]) < max(sides[1]) < min(sides[2])
    for rows in (validation, test):
        predicted = [int(s) + i for s in sample.starts[rows] for i in range(1, 17)]
        assert len(predicted) == len(set(predicted)) == max(predicted) - min(predicted) + 1
    assert len(train) == len(TEXT) - 2 * round(0.1 * len(TEXT)) - 16  # every token begins a window


def test_windows_are_the_text_and_decode_to_it() -> None:
    sample, _, test = prose(length=16)
    assert sample.windows.shape == (len(sample), 17)
    assert sample.windows.dtype == np.int32
    for row in (0, 7, int(test[0])):
        start = int(sample.starts[row])
        assert sample.tokeniser.decode(sample.windows[row]) == TEXT[start : start + 17]
    (tensor,) = sample.take(test).inputs()
    np.testing.assert_array_equal(tensor.numpy(), sample.windows[test])
    even = sample.take(np.arange(100))
    assert even.windows.base is not None  # a view of the text


def test_windows_of_a_long_text_begin_farther_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tutti.data._language_read.ROOM", 2**16)
    sample, validation, _ = prose(length=16)
    train = sample.starts[: validation[0]]
    assert set(np.diff(train)) == {-(-17 * round(len(TEXT) * 0.8) // 2**16)}


def test_the_vocabulary_is_learnt_from_what_trains_alone() -> None:
    late = TEXT + "ξ" * (len(TEXT) // 8)
    sample, _, test = prose(late)
    assert "ξ" not in sample.tokeniser.to_json()["levels"]
    assert (sample.windows[test] == 1).mean() > 0.5
    findings = read(late, reading=ASKED).findings
    assert {"vocabulary", "unknown-tokens"} <= {f.kind for f in findings}


@pytest.mark.parametrize("unit", ["word", "bpe", "character"])
def test_every_unit_reads_the_same_parts(unit: str) -> None:
    if unit == "bpe":
        pytest.importorskip("tokenizers")
    sample, _, test = prose(unit=unit, vocabulary=None if unit != "bpe" else 300, length=8)
    text = sample.tokeniser.decode(sample.windows[test[0]])
    assert text.split()[0] in TEXT
    assert sample.tokeniser.unit == unit


def test_parts_and_shares_are_honoured() -> None:
    _, validation, test = prose(parts=(10_000, 2_000, 0), length=32)
    assert len(test) == 0
    assert len(validation) == (2_000 - 1) // 32
    _, _, larger = prose(test_size=0.3, length=32)
    assert len(larger) == (round(0.3 * len(TEXT)) - 1) // 32


def test_files_folders_lists_and_strings_read_alike(tmp_path: Path) -> None:
    whole = tmp_path / "book.txt"
    whole.write_text(TEXT, encoding="utf8")
    packed = tmp_path / "book.txt.gz"
    packed.write_bytes(gzip.compress(TEXT.encode("utf8")))
    folder = tmp_path / "books"
    folder.mkdir()
    half = TEXT.index("\n200 bottles")
    (folder / "a.txt").write_text(TEXT[:half].replace("\n", "\r\n"), encoding="utf8", newline="")
    (folder / "b.txt").write_text(TEXT[half + 2 :], encoding="utf8")
    expected = prose(TEXT)[0]
    for source in (whole, str(packed)):
        np.testing.assert_array_equal(prose(source)[0].stream, expected.stream)
    joined = prose([TEXT[:half], TEXT[half + 2 :]])[0]
    np.testing.assert_array_equal(prose(folder)[0].stream, joined.stream)


def test_new_text_is_read_by_the_schema() -> None:
    table = read(TEXT, reading=ASKED)
    new = encode(table.schema, TEXT[:1000], target=True, reading=Reading())
    assert isinstance(new.sample, Prose)
    length = new.sample.length
    assert new.rows == (1000 - 1) // length
    assert new.target is not None
    assert new.sample.tokeniser.decode(new.target[1]) == TEXT[length : 2 * length + 1]


def test_intervals_draw_neighbouring_windows_together() -> None:
    sample, validation, test = prose(length=8)
    units = sample.units()
    blocks = units[test]
    assert (np.diff(blocks) >= 0).all()
    assert len(set(blocks)) == min(50, round(len(test) ** (2 / 3)))
    assert not set(blocks) & set(units[validation])


def test_hashes_are_of_content() -> None:
    sample, _, _ = prose("ab" * 2000, length=8)
    hashes = sample.hashes()
    assert hashes[0] == hashes[2]
    assert hashes[0] != hashes[1]


@pytest.mark.parametrize(
    ("source", "told", "words"),
    [
        ("no such file.txt", {}, "no file"),
        (3, {}, "int"),
        ("a\nb", {}, "3 characters"),
        (TEXT, {"length": 100_000}, "a window holds"),
        (TEXT, {"parts": (1, 2)}, "three numbers"),
        (TEXT, {"parts": (10**6, 10, 10)}, "it has"),
        (TEXT, {"test_size": 0.9}, "too little"),
        (TEXT, {"unit": "syllable"}, "syllable"),
    ],
)
def test_what_cannot_be_read_is_said(source: object, told: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        prose(source, **told)


def test_binary_files_and_empty_folders_are_refused(tmp_path: Path) -> None:
    odd = tmp_path / "odd.txt"
    odd.write_bytes(b"abc\x00" * 1000)
    with pytest.raises(InputError, match="zero bytes"):
        prose(odd)
    none = tmp_path / "none"
    none.mkdir()
    with pytest.raises(InputError, match="holds no"):
        prose(none)


def test_a_string_is_told_from_a_path() -> None:
    assert is_prose(TEXT)
    assert not is_prose("book.txt")
    assert not is_prose(Path("book.txt"))
