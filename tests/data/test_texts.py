"""Texts from every source; words, characters, pieces; vocabularies of training rows; near-copies; bad inputs."""

import gzip
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tutti import core, data, models
from tutti.data import Reading, Texts
from tutti.data._texts import Corpus, padded, usual_length
from tutti.data._texts_alike import near_pairs
from tutti.data._words import Ragged, normalise, split, words_of

GOOD = ["a fine film with a great cast", "one of the best films of the year", "warm , funny and moving in the end"]
BAD = ["a dull film with a tired plot", "one of the worst films of the year", "cold , slow and boring in the end"]
LABELS = ["good"] * 30 + ["bad"] * 30
SIXTY = [f"{text} {i}" for i in range(10) for text in GOOD] + [f"{text} {i}" for i in range(10) for text in BAD]


def _texts(table: data.Table) -> list[str]:
    assert isinstance(table.sample, Texts)
    return list(table.sample.corpus.texts)


def _settled(texts: list[str], **options: Any) -> Texts:
    corpus = np.empty(len(texts), object)
    corpus[:] = texts
    return Texts(corpus=Corpus(corpus), **options).settled(np.arange(len(texts)))


# Sources


def _csv(folder: Path) -> Path:
    path = folder / "reviews.csv"
    pd.DataFrame({"review": SIXTY, "label": LABELS}).to_csv(path, index=False)
    return path


def _parquet(folder: Path) -> Path:
    path = folder / "reviews.parquet"
    pd.DataFrame({"review": SIXTY, "label": LABELS}).to_parquet(path)
    return path


def _json_lines(folder: Path) -> Path:
    path = folder / "reviews.jsonl"
    pd.DataFrame({"review": SIXTY, "label": LABELS}).to_json(path, orient="records", lines=True)
    return path


def _lines(folder: Path) -> Path:
    path = folder / "reviews.train"
    path.write_text("".join(f"{label} {text}\n" for label, text in zip(LABELS, SIXTY, strict=True)), encoding="utf8")
    return path


def _folders(folder: Path) -> Path:
    for i, (label, text) in enumerate(zip(LABELS, SIXTY, strict=True)):
        place = folder / "films" / label
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i:02d}.txt").write_text(text, encoding="utf8")
    return folder / "films"


def _dataset(_: Path) -> Any:
    numbers = [0 if label == "good" else 1 for label in LABELS]
    columns = {"review": SIXTY, "label": numbers}

    class Dataset:
        def __init__(self) -> None:
            self.column_names = ["review", "label"]
            self.features = {"review": SimpleNamespace(), "label": SimpleNamespace(names=["good", "bad"])}

        def __getitem__(self, name: str) -> list[Any]:
            return columns[name]

    return Dataset()


SOURCES = {
    "csv": _csv,
    "parquet": _parquet,
    "json lines": _json_lines,
    "labelled lines": _lines,
    "folders": _folders,
    "dataset": _dataset,
    "frame": lambda _: pd.DataFrame({"review": SIXTY, "label": LABELS}),
    "dict": lambda _: {"review": SIXTY, "label": LABELS},
    "pair": lambda _: (SIXTY, LABELS),
    "pair of arrays": lambda _: (np.array(SIXTY), np.array(LABELS)),
    "pair with a series": lambda _: (pd.Series(SIXTY), pd.Series(LABELS, name="label")),
}


# catalogue: D4
@pytest.mark.parametrize("name", SOURCES)
def test_texts_are_read_from_every_source(name: str, tmp_path: Path) -> None:
    asked = name in ("parquet", "json lines")  # their columns are not looked at before they are read
    reading = Reading(text="review") if asked else Reading()
    target = None if name.startswith("pair") else "label"
    table = data.read(SOURCES[name](tmp_path), target=target, reading=reading)
    assert table.kind == "text"
    assert table.target is not None
    assert sorted(zip(_texts(table), table.target, strict=True)) == sorted(zip(SIXTY, LABELS, strict=True))
    again = data.encode(table.schema, SOURCES[name](tmp_path), reading=reading)
    assert sorted(_texts(again)) == sorted(SIXTY)


def test_texts_without_labels_are_read_where_a_model_is_known(tmp_path: Path) -> None:
    table = data.read(_lines(tmp_path)).settled(np.arange(60))
    path = tmp_path / "new.txt"
    path.write_text("a great film\nunheard words\n", encoding="utf8")
    for source in (
        ["a great film", "unheard words"],
        path,
        pd.DataFrame({"text": ["a great film", "unheard words"]}),
    ):
        new = data.encode(table.schema, source).sample
        assert isinstance(new, Texts)
        assert new.inputs()[0].shape == (2, table.schema.shape.length)
        assert new.inputs()[0][1, :3].tolist() == [1, 1, 0]


# catalogue: D4
def test_the_shared_sentences_have_their_published_numbers(shared_data: Path) -> None:
    sizes = {"binary.train": 6920, "binary.dev": 872, "binary.test": 1821, "fine.train": 8544, "fine.test": 2210}
    for name, size in sizes.items():
        table = data.read(shared_data / "text" / "sst" / f"stsa.{name}")
        assert (table.kind, table.rows) == ("text", size)
        assert len(np.unique(table.target)) == (5 if "fine" in name else 2)


def test_a_split_column_is_honoured_and_said() -> None:
    frame = pd.DataFrame({"set": ["train"] * 40 + ["val"] * 5 + ["test"] * 15, "review": SIXTY, "label": LABELS})
    table = data.read(frame, target="label", reading=Reading(text="review"))
    assert table.test is not None
    assert table.validation is not None
    assert (len(table.test), len(table.validation)) == (15, 5)
    assert "given-split" in {f.kind for f in table.findings}
    other = data.read(frame.assign(set=["train"] * 30 + ["red"] * 30), target="label", reading=Reading(text="review"))
    assert other.test is None


def test_parts_of_a_dataset_and_of_a_folder_are_set_apart(tmp_path: Path) -> None:
    parts = data.read({"train": _dataset(tmp_path), "test": _dataset(tmp_path)}, target="label")
    assert parts.rows == 120
    assert parts.test is not None
    assert parts.test.tolist() == list(range(60, 120))
    for part in ("train", "test"):
        _folders(tmp_path / "both" / part)
        (tmp_path / "both" / part / "films").rename(tmp_path / "both" / f"_{part}")
        (tmp_path / "both" / part).rmdir()
        (tmp_path / "both" / f"_{part}").rename(tmp_path / "both" / part)
    folders = data.read(tmp_path / "both")
    assert folders.test is not None
    assert (folders.rows, len(folders.test)) == (120, 60)


@pytest.mark.parametrize("encoding", ["utf8", "latin1", "utf-16", "utf-8-sig"])
def test_the_encoding_of_lines_is_found(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "x.txt.gz"
    lines = [f"{i % 2} très beau film numéro {i} {'encore ' * (i % 5)}" for i in range(40)]
    path.write_bytes(gzip.compress("\n".join(lines).encode(encoding)))
    table = data.read(path)
    assert _texts(table)[3] == "très beau film numéro 3 encore encore encore"
    assert ("encoding" in {f.kind for f in table.findings}) == (encoding == "latin1")


@pytest.mark.parametrize(
    "source",
    [
        ("numbers.data", "".join(f"A1{i % 3} {i} A3{i % 4} A4{i % 2} {i * 7}\n" for i in range(50))),
        ("table.csv", "x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(50))),
        ("names.csv", "name,y\n" + "".join(f"Ann Lee,{i % 2}\n" for i in range(50))),
    ],
)
def test_tables_are_not_taken_for_texts(tmp_path: Path, source: tuple[str, str]) -> None:
    path = tmp_path / source[0]
    path.write_text(source[1], encoding="utf8")
    assert not data.READERS["text"].claims(path, Reading())


# Bad inputs


@pytest.mark.parametrize(
    ("source", "reading", "message"),
    [
        ({"review": SIXTY, "label": LABELS}, Reading(text="reveiw"), "review"),
        ({"a": SIXTY, "b": SIXTY, "label": LABELS}, Reading(data="text"), "--text"),
        ({"a": LABELS, "label": LABELS}, Reading(data="text"), "--text"),
        ({"review": list(range(60)), "label": LABELS}, Reading(text="review"), "strings"),
        ({"review": [" "] * 60, "label": LABELS}, Reading(text="review"), "empty"),
        ({"review": SIXTY, "label": LABELS}, Reading(text=7), "column 7"),
        ((SIXTY, LABELS[:-1]), Reading(), "59"),
    ],
)
def test_sources_that_cannot_be_read_are_refused(source: Any, reading: Reading, message: str) -> None:
    with pytest.raises(core.InputError, match=message):
        data.read(source, target="label" if isinstance(source, dict) else None, reading=reading)


@pytest.mark.parametrize(("options", "message"), [({"unit": "wrod"}, "word"), ({"vocabulary": 2}, "vocabulary")])
def test_vocabularies_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(core.InputError, match=message):
        _settled(SIXTY, **options)


def test_empty_texts_are_one_unknown_token_and_said() -> None:
    table = data.read(([*SIXTY[:30], "", None, *SIXTY[30:]], ["good"] * 32 + ["bad"] * 30))
    assert "empty-texts" in {f.kind for f in table.findings}
    tokens, lengths = table.settled(np.arange(table.rows)).inputs()
    assert tokens[30:32].tolist() == [[1] + [0] * (tokens.shape[1] - 1)] * 2
    assert lengths[30:32].tolist() == [1, 1]


def test_texts_ask_for_training_rows_before_they_are_tokens() -> None:
    with pytest.raises(core.InputError, match="settled"):
        data.read((SIXTY, LABELS)).inputs()


# Words and tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't stop!", ["don't", "stop", "!"]),
        ("a<br />b <i>c</i> 1<2", ["a", "b", "c", "1", "<", "2"]),
        ("ﬁne Ｆｕｌｌ cafe\u0301", ["fine", "full", "café"]),
        ("我爱北京。", ["我", "爱", "北", "京", "。"]),
        ("हिन्दी भाषा।", ["हिन्दी", "भाषा", "।"]),
        ("Привет, мир", ["привет", ",", "мир"]),
        ("مرحبا، عالم؟", ["مرحبا", "،", "عالم", "؟"]),
        ("good 👍👍", ["good", "👍", "👍"]),
        ("", []),
    ],
)
def test_words_of_many_alphabets(text: str, expected: list[str]) -> None:
    assert words_of(text) == expected


@pytest.mark.parametrize("unit", data.UNITS)
def test_a_tokeniser_saves_itself_and_undoes_itself(unit: str) -> None:
    texts = [*SIXTY, "Ünïcode 我爱 👍 straße"]
    tokeniser = data.fit_tokeniser(texts, unit, 300, lower=False)
    assert tokeniser.size <= 300
    again = data.tokeniser_from_json(tokeniser.to_json())
    found = tokeniser.encode(texts)
    np.testing.assert_array_equal(again.encode(texts).values, found.values)
    assert found.values.dtype == np.int32
    assert len(tokeniser.encode([""]).row(0)) == 0
    if unit in ("bpe", "character"):
        assert [tokeniser.decode(found.row(i)) for i in range(len(texts))] == [
            normalise(t, lower=False) for t in texts
        ]
    unknown = tokeniser.encode(["Ж"]).values
    assert (len(unknown) == 2 and unknown.min() > 1) if unit == "bpe" else unknown.tolist() == [1]


def test_words_are_learnt_by_frequency() -> None:
    tokeniser = data.fit_tokeniser(["b a", "c b", "b c d"], size=4)
    assert tokeniser.encode(["a b c d"]).values.tolist() == [1, 2, 3, 1]
    many = ["usual words"] * 1000 + ["single"]
    assert data.fit_tokeniser(many).encode(["usual single"]).values.tolist() == [2, 1]


def test_the_vocabulary_is_learnt_from_training_rows_alone() -> None:
    table = data.read(([*SIXTY, "xylophone zebra"], [*LABELS, "bad"]))
    settled = table.settled(np.arange(60))
    assert settled.inputs()[0][60, :3].tolist() == [1, 1, 0]
    assert settled.schema.shape == settled.sample.shape  # type: ignore[union-attr]
    whole = table.settled(np.arange(61))
    assert whole.inputs()[0][60, :2].min() > 1


def test_single_words_are_taken_apart_into_characters() -> None:
    assert _settled(["Anna", "Otto", "Mary Ann"]).unit == "character"
    assert _settled(SIXTY).unit == "word"


def test_long_texts_keep_both_ends() -> None:
    found = Ragged(np.arange(2, 25, dtype=np.int32), np.array([0, 12, 12, 23]))
    tokens, lengths = padded(found, 8)
    assert tokens[0].tolist() == [2, 3, 8, 9, 10, 11, 12, 13]
    assert tokens[1].tolist() == [1] + [0] * 7
    assert tokens[2].tolist() == [14, 15, 19, 20, 21, 22, 23, 24]
    assert lengths.tolist() == [8, 1, 8]


def test_the_usual_length_is_that_of_nearly_all_texts() -> None:
    assert usual_length(np.array([3, 9])) == 16
    assert usual_length(np.full(100, 120)) == 120
    assert usual_length(np.array([200] * 99 + [5000])) == 256
    assert usual_length(np.full(100, 5000)) == 1024


# Samples


def test_rows_taken_and_joined_are_the_same_texts() -> None:
    whole = _settled(SIXTY)
    both = whole.take(np.arange(20)).joined(whole.take(np.arange(20, 60)))
    for a, b in zip(whole.inputs(), both.inputs(), strict=True):
        assert isinstance(a, torch.Tensor)
        assert torch.equal(a, b)
    np.testing.assert_array_equal(whole.hashes(), both.hashes())
    assert whole.example(3) == {"kind": "text", "text": SIXTY[3]}
    assert "60 texts" in whole.summary


def test_texts_that_differ_in_case_and_blanks_stay_together() -> None:
    sample = _settled(["One  film.", "one film.", "one film !", "film one ."])
    assert sample.alike().tolist() == [0, 0, 2, 3]
    assert len(set(sample.hashes().tolist())) == 4


def test_rarity_is_that_of_scikit_learn(shared_data: Path) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    table = data.read(shared_data / "text" / "sst" / "stsa.binary.dev").settled(np.arange(600))
    sample = table.sample
    assert isinstance(sample, Texts)
    network = models.TextBag(longest=1).build(sample.shape, 1)
    fitted = table.fit(network, np.arange(600))["front.worth"].numpy()
    vectorizer = TfidfVectorizer(analyzer=words_of).fit(sample.corpus.texts[:600])
    tokeniser = sample.tokeniser
    assert tokeniser is not None
    for word, place in vectorizer.vocabulary_.items():
        number = tokeniser.encode([word]).values
        if len(number) == 1 and number[0] > 1:
            np.testing.assert_allclose(fitted[number[0]], vectorizer.idf_[place], rtol=1e-6)


def test_words_that_tell_classes_apart_are_worth_more() -> None:
    """By hand: of four texts, two of each class, the counts of each word give rarity · √r."""
    sample = _settled(["good film", "good plot", "bad film", "film"], unit="word")
    assert sample.tokeniser is not None
    network = models.TextBag(longest=1).build(sample.shape, 1)
    target = np.array([1, 1, 0, 0])
    fitted = sample.fit(network, np.arange(4), target)["front.worth"].numpy()
    size = len(fitted)  # each slot counts one more than it occurs
    held = {"good": (2, 0), "film": (1, 2), "plot": (1, 0), "bad": (0, 1)}
    for word, (ones, zeros) in held.items():
        (slot,) = sample.tokeniser.encode([word]).values
        ratio = np.log((ones + 1) / (4 + size)) - np.log((zeros + 1) / (3 + size))
        rarity = np.log(5 / (1 + ones + zeros)) + 1
        np.testing.assert_allclose(fitted[slot], rarity * np.sqrt(abs(ratio)), rtol=1e-5)
    only = sample.fit(network, np.arange(2), target)["front.worth"].numpy()  # one class: rarity alone
    np.testing.assert_allclose(only, sample.fit(network, np.arange(2))["front.worth"].numpy())
    labels = np.stack([target, target], axis=1).astype(np.float32)
    np.testing.assert_allclose(sample.fit(network, np.arange(4), labels)["front.worth"].numpy(), fitted, rtol=1e-6)
    of_values = sample.fit(network, np.arange(4), np.array([[0.5], [1.5], [2.0], [0.1]]))["front.worth"].numpy()
    np.testing.assert_allclose(of_values, sample.fit(network, np.arange(4))["front.worth"].numpy())


# Leaks


def _jaccard(a: str, b: str) -> float:
    def runs(text: str) -> set[tuple[str, ...]]:
        words = words_of(text)
        return {tuple(words[i : i + 3]) for i in range(len(words) - 2)}

    return len(runs(a) & runs(b)) / len(runs(a) | runs(b))


# catalogue: E3
def test_near_copies_are_found_as_by_comparing_all_pairs() -> None:
    draw = np.random.default_rng(0)
    texts = [" ".join(f"w{i}" for i in draw.integers(0, 400, 40)) for _ in range(60)]
    for row in range(20):
        words = texts[row].split()
        words[int(draw.integers(0, 40))] = "changed"
        if row % 2:
            words = words[: 40 - row]
        texts.append(" ".join(words))
    train, judged = np.arange(60), np.arange(60, 80)
    found = {(int(a), int(b)) for a, b in near_pairs(split(texts), train, judged)}
    assert found == {(a, b) for a in judged for b in train if _jaccard(texts[a], texts[b]) >= 0.6}
    assert len(found) > 10


def test_near_copies_across_given_splits_are_a_notice() -> None:
    texts = [f"{' '.join(f'word{i * 20 + k}' for k in range(20))}" for i in range(40)]
    texts[39] = texts[0].replace("word3 ", "other ")
    sample = _settled(texts)
    fold = core.Fold(train=np.arange(20), validation=np.arange(20, 30))
    splits = core.Splits(
        kind="given", rows=40, test=np.arange(30, 40), folds=(fold,), unit="row", units=np.arange(40)
    )
    findings = {f.kind: f for f in sample.leaks(splits, given=True)}
    assert "1 of 10 texts" in findings["near-duplicates"].message
    assert findings["near-duplicates"].severity == "notice"


def test_another_alphabet_in_the_test_is_warned_of() -> None:
    texts = [f"{text}" for text in SIXTY] + ["совсем другие слова здесь"] * 10
    corpus = np.array(texts, object)
    sample = Texts(corpus=Corpus(corpus)).settled(np.arange(60))
    fold = core.Fold(train=np.arange(30), validation=np.arange(30, 60))
    splits = core.Splits(
        kind="given", rows=70, test=np.arange(60, 70), folds=(fold,), unit="row", units=np.arange(70)
    )
    assert "unknown-tokens" in {f.kind for f in sample.leaks(splits, given=True)}
    pieces = Texts(corpus=Corpus(corpus), unit="bpe").settled(np.arange(60))
    assert "unknown-tokens" not in {f.kind for f in pieces.leaks(splits, given=True)}
