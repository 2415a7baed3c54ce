"""Bad files and bad new data: one clear error or notice each, nothing lost."""

import gzip
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tutti.core import InputError, Schema
from tutti.data import Reading, Table, encode, read
from tutti.data._splits import declare_splits

GOOD = "size,colour,label\n" + "".join(f"{i}.5,{'red' if i % 2 else 'blue'},{i % 3}\n" for i in range(30))


def written(folder: Path, content: str | bytes, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode("utf8") if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "data.csv is empty"),
        ("\n\n  \n", "data.csv is empty"),
        ("a,b,c\n", "has a header but no rows"),
        ("a b\n1 2\n3 4 5\n6 7\n8 9\n", "Line 3 has 3 cells"),
        ("a,b,c\n1,2,3\n4,5\n6,7,8\n9,1,2\n", r"Line 3 has 2 cells.*'4,5'"),
        ("a,b,a\n1,2,3\n", "several columns named 'a'.*Rename"),
        ("1,2,1\n3,4,5\n", "several columns named '1'.*--no-header"),
        (",".join(["0.5"] * 30) + "\n", "several columns named '0.5'.*--no-header.*or --data signals"),
        ("onlyone\n1\n2\n", "one column only.*delimiter"),
        (b"a,b\n1,\x00\x01\n", "zero bytes"),
        (b"PK\x03\x04 this was a spreadsheet", "no archive of plain arrays.*spreadsheets as CSV"),
        (b"PAR1 but not really parquet", "cannot be read"),
        ("ä,b\nü,1\n".encode() + "é,2\n".encode("latin1"), "mixes encodings: line 1 is UTF-8, line 3 is not"),
        ('a,b\n"1,2\n3,4\n', "data.csv"),
        ('{"a": 1}\n{"a": \n', "no JSON: line 2"),
        ('[{"a": 1}, 3]', "row 2 is a int"),
        ('{"a":{"0":1,"1":2},"b":{"0":1,"1":0}}', "is one object that holds columns; expected one object per row"),
        ('{"a": [1, 2],\n "b": [1, 0]}', "no JSON: line 1|expected one object per row"),
        ('[{"a": {"0": 1}, "b": [2]}]', "expected one object per row"),
        ("a,b\n" + "1,2\n" * 8 + '"1,2\n' + "3,4\n" * 30, "from line 10, where a quote opens, to line 40 does not"),
        (
            "a,b\n" + "1,2\n" * 8 + '1,"2\n' + "3,4\n" * 30,
            "a quote opens in line 10 and is not closed.*Close",
        ),
        ("a,b\n" + '1,"2\r\n3"\r\n' * 3 + '1,"2\n' + "3,4\n" * 30, "a quote opens in line 8 and is not closed"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(written(tmp_path, content), target="b")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "No target was named. The columns are 'size', 'colour', 'label'.*--target"),
        ({"target": "lable"}, "Unknown column 'lable'. Did you mean 'label'"),
        ({"target": 3}, "no column number 3.*0 to 2"),
        ({"target": "label", "group": "label"}, "both target and group"),
        ({"target": "label", "weight": "colour"}, "Row 1 of the column 'colour' holds 'blue'"),
        ({"target": "label", "time": "colour"}, "holds neither dates nor numbers"),
        (
            {"target": "colour", "task_kind": "regression"},
            "Row 1 of the column 'colour' holds 'blue'; expected a number",
        ),
        ({"target": "label", "reading": Reading(delimiter=";")}, "one column only"),
        ({"target": "label", "reading": Reading(delimiter="ab")}, "not one character"),
        (
            {"target": "label", "drop": ["size", "colour"]},
            "No column is left to learn from.*'size': dropped.*fewer",
        ),
    ],
)
def test_wrong_options_are_named(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(written(tmp_path, GOOD), **options)


def test_a_missing_file_offers_the_nearest_name(tmp_path: Path) -> None:
    written(tmp_path, GOOD, "titanic.csv")
    with pytest.raises(InputError, match=r"no file.*titanik\.csv.*Did you mean 'titanic\.csv'"):
        read(tmp_path / "titanik.csv", target="label")
    with pytest.raises(InputError, match="Did you mean 'digits'"):
        read("digit")
    with pytest.raises(InputError, match="is a folder"):
        read(tmp_path, target="label")
    with pytest.raises(InputError, match="There is no folder"):
        read(tmp_path / "nowhere" / "x.csv")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "  "])
def test_delimiters_are_sniffed(tmp_path: Path, delimiter: str) -> None:
    table = read(written(tmp_path, GOOD.replace(",", delimiter)), target="label")
    assert table.fingerprint == read(written(tmp_path, GOOD, "good.csv"), target="label").fingerprint


def test_a_semicolon_file_with_decimal_commas_is_read(tmp_path: Path) -> None:
    text = "size;colour;label\n" + "1,234;red;0\n2,345;blue;1\n" * 15
    table = read(written(tmp_path, text), target="label")
    np.testing.assert_allclose(table.numbers[:2, 0], [1.234, 2.345], rtol=1e-6)


@pytest.mark.parametrize(("encoding", "noticed"), [("utf8", 0), ("utf-8-sig", 0), ("utf16", 0), ("cp1252", 1)])
def test_encodings_are_told_apart(tmp_path: Path, encoding: str, noticed: int) -> None:
    text = GOOD.replace("red", "röd").replace("size", "größe")
    table = read(written(tmp_path, text.encode(encoding)), target="label")
    assert table.schema["colour"].levels == ("blue", "röd")
    assert "größe" in table.schema.numbers
    assert [f.kind for f in table.findings].count("encoding") == noticed


def test_quotes_hold_delimiters_and_line_breaks(tmp_path: Path) -> None:
    text = 'a,"b\nc",y\n' + '"x, y",1.5,0\n"two\nlines","2.5",1\n' * 10
    table = read(written(tmp_path, text), target="y")
    assert table.schema["a"].levels == ("two\nlines", "x, y")
    assert table.schema.numbers == ("b\nc",)


def test_quoted_line_breaks_may_begin_late_and_lie_across_blocks(tmp_path: Path) -> None:
    lines = '"' + "r\n" * 200 + '",3,0\n'
    late = "a,b,y\n" + "p,1,0\nq,2,1\n" * 30_000 + lines * 25_000
    table = read(written(tmp_path, late), target="y")
    assert table.rows == 85_000
    assert table.schema["a"].distinct == 3


def test_a_missing_header_is_doubted_never_guessed(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD.split("\n", 1)[1])
    doubted = read(path, target=-1)
    assert [f.kind for f in doubted.findings] == ["header-looks-like-data"]
    assert doubted.rows == 29
    with pytest.raises(InputError, match=r"Unknown column 'label'.*--no-header"):
        read(path, target="label")
    assert read(path, target=-1, reading=Reading(header=False)).rows == 30
    named = read(written(tmp_path, GOOD), target=1, reading=Reading(header=False))
    assert "first-row-looks-like-names" in [f.kind for f in named.findings]
    years = read(written(tmp_path, "name,2001,2002,2003\n" + "a,1,2,3\nb,2,3,4\n" * 12), target="name")
    assert not years.findings


def test_rows_without_a_target_are_set_aside_and_counted() -> None:
    data = {"x": np.arange(30.0) ** 2, "y": ["a", "b", None] * 10}
    table = read(data, target="y")
    assert table.rows == 20
    assert [f.kind for f in table.findings] == ["rows-without-target"]
    np.testing.assert_array_equal(table.numbers[:4, 0], [0, 1, 9, 16])
    with pytest.raises(InputError, match="no value in any row"):
        read({"x": [1.0, 2.0], "y": [None, None]}, target="y")


def test_a_slip_in_a_numeric_target_is_an_error() -> None:
    data = {"x": np.arange(60.0) ** 2, "y": [*map(str, range(59)), "many"]}
    with pytest.raises(InputError, match="row 60 holds 'many'"):
        read(data, target="y")


@pytest.mark.parametrize("weights", [[1.0, -1.0], [1.0, np.nan], [0.0, 0.0], [np.inf, 1.0]])
def test_weights_that_make_no_sense_are_refused(weights: list[float]) -> None:
    with pytest.raises(InputError, match="eights"):
        read({"x": [1.0, 2.0], "y": [0, 1], "w": weights}, target="y", weight="w")


def test_few_rows_and_more_features_than_rows_are_noticed() -> None:
    table = read((np.random.default_rng(0).normal(size=(5, 9)), np.arange(5.0)))
    assert [f.kind for f in table.findings] == ["few-rows", "more-columns-than-rows"]
    assert not read((np.random.default_rng(0).normal(size=(20, 9)), np.arange(20.0))).findings


@pytest.fixture
def fitted(tmp_path: Path) -> Table:
    return read(written(tmp_path, GOOD), target="label")


def test_a_last_cell_may_hold_line_breaks(tmp_path: Path) -> None:
    table = read(written(tmp_path, "a,b\n" + '1,"x\ny"\n2,"z\n"\n' * 10), target="b")
    assert table.rows == 20
    assert set(table.target) == {"x\ny", "z"}


def test_a_column_of_infinities_is_set_aside_as_such() -> None:
    table = read({"a": np.full(30, np.inf), "x": np.arange(30) % 7 + 0.5, "y": np.arange(30) % 2}, target="y")
    assert [f.where for f in table.findings if f.kind == "infinite-values"] == ["a"]
    assert "a" in next(f.where for f in table.findings if f.kind == "constant")


def test_few_rows_are_noticed_once() -> None:
    table = read({"x": np.arange(15) * 0.5, "y": np.arange(15) % 2}, target="y")
    _, findings = declare_splits(15, target=np.arange(15) % 2, folds=2)
    said = [f.message for f in (*table.findings, *findings) if "uncertain" in f.message]
    assert len(said) == 1


def test_new_columns_may_be_reordered_or_too_many(fitted: Table) -> None:
    new = encode(fitted.schema, pd.DataFrame({"extra": [1, 2], "colour": ["red", "pink"], "size": ["3.5", "4"]}))
    np.testing.assert_array_equal(new.numbers[:, 0], [3.5, 4])
    assert new.codes[:, 0].tolist() == [3, 0]
    assert [f.kind for f in new.findings] == ["extra-columns", "unseen-categories"]
    assert new.target is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"sizes": [1.0], "colour": ["red"]}, "lacks the column 'size'.*Is 'sizes' meant to be 'size'"),
        ({"other": [1.0]}, "lacks the columns 'size', 'colour'.*The columns are 'other'"),
        (
            {"size": ["1.5", "big"], "colour": ["red", "red"]},
            "Row 2 of the column 'size' holds 'big'; expected a number",
        ),
        ({"size": [np.datetime64("2024-01-01")], "colour": ["red"]}, "holds times; expected numbers"),
        (np.zeros((2, 5)), "has 5 columns; expected 2"),
    ],
)
def test_new_data_that_do_not_fit_are_named(fitted: Table, data: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        encode(fitted.schema, data)


def test_missing_values_in_new_data_keep_their_rows(fitted: Table) -> None:
    new = encode(fitted.schema, {"size": [None, "?", "-", "7"], "colour": [None, "", "NA", "red"]})
    assert new.rows == 4
    assert np.isnan(new.numbers[:3, 0]).all()
    assert new.codes[:, 0].tolist() == [1, 1, 1, 3]


def test_a_file_without_header_is_encoded_with_or_without_its_target(tmp_path: Path) -> None:
    body = GOOD.split("\n", 1)[1]
    fitted = read(written(tmp_path, body), target=0, reading=Reading(header=False))
    shorter = "\n".join(line.split(",", 1)[1] for line in body.split("\n") if line)
    for text in (body, shorter, "1,2\n" + shorter):
        new = encode(fitted.schema, written(tmp_path, text, "new.csv"))
        np.testing.assert_array_equal(new.codes, fitted.codes)
        np.testing.assert_array_equal(new.numbers, fitted.numbers)
    with pytest.raises(InputError, match="has 1 columns; expected 2"):
        encode(fitted.schema, written(tmp_path, "red\nblue\n", "new.csv"))


def test_booleans_of_new_data_may_be_typed_but_not_other_words() -> None:
    table = read({"b": ["Yes", "no"] * 10, "y": np.arange(20) % 2}, target="y")
    assert encode(table.schema, {"b": ["YES", "no", ""]}).numbers[:2, 0].tolist() == [1, 0]
    assert encode(table.schema, {"b": np.array([True, False])}).numbers[:, 0].tolist() == [1, 0]
    with pytest.raises(InputError, match="Row 1 of the column 'b' holds 'perhaps'; expected no or yes"):
        encode(table.schema, {"b": ["perhaps"]})


def test_a_schema_survives_its_json(fitted: Table) -> None:
    again = Schema.from_json(fitted.schema.to_json())
    assert again == fitted.schema


def test_a_truncated_gzip_file_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, gzip.compress(GOOD.encode() * 50)[:-20], "data.csv.gz")
    with pytest.raises(InputError, match="cannot be read"):
        read(path, target="label")


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz", "zip"])
def test_whatever_pandas_packs_by_its_name_is_read(tmp_path: Path, suffix: str) -> None:
    plain = read(written(tmp_path, GOOD), target="label")
    path = tmp_path / f"packed.csv.{suffix}"
    pd.read_csv(tmp_path / "data.csv").to_csv(path, index=False)
    assert read(path, target="label").fingerprint == plain.fingerprint


def test_archives_of_anything_but_one_table_are_named(tmp_path: Path) -> None:
    def packed(*names: str) -> Path:
        with zipfile.ZipFile(tmp_path / "packed.zip", "w") as file:
            for name in names:
                file.writestr(name, GOOD)
        return tmp_path / "packed.zip"

    assert read(packed("a.csv", "__MACOSX/._a.csv"), target="label").rows == 30
    for names, message in [
        (("a.csv", "b.csv"), r"ZIP archive of 2 files \('a.csv', 'b.csv'\).*Unpack it"),
        (("a.csv", "x.npy"), "ZIP archive of 2 files"),
        (("[Content_Types].xml", "xl/workbook.xml"), "office program.*Save the sheet as CSV"),
    ]:
        with pytest.raises(InputError, match=message):
            read(packed(*names), target="label")
    with pytest.raises(InputError, match="compressed by Zstandard"):
        read(written(tmp_path, b"\x28\xb5\x2f\xfd rest", "a.csv.zst"), target="label")


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz", "zip"])
def test_damaged_archives_are_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"packed.csv.{suffix}"
    pd.DataFrame({"a": np.arange(5000), "label": np.arange(5000) % 3}).to_csv(path, index=False)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"packed\.csv"):
        read(path, target="label")
    middle = len(whole) // 2
    path.write_bytes(
        whole[:middle] + bytes(255 - byte for byte in whole[middle : middle + 40]) + whole[middle + 40 :]
    )
    with pytest.raises(InputError, match=r"packed\.csv"):
        read(path, target="label")


def test_objects_in_an_archive_are_never_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "objects.npz", a=np.array([{"x": 1}, None], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="not of objects"):
        read(tmp_path / "objects.npz", target="a")


def test_numbers_above_a_word_in_the_target_say_that_the_header_may_be_meant(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"row 1 holds 'label'.*leave out --no-header"):
        read(written(tmp_path, GOOD), target=-1, reading=Reading(header=False))
