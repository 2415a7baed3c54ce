"""What a column means is inferred as people would, said in a note, and can be overridden."""  # catalogue: D1

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tutti.core import Column, InputError, Kind, Role
from tutti.data import Table, encode, read


def table(cells: Sequence[Any], **options: Any) -> Table:
    """A table of one column "c" beside a harmless number and a target."""
    rows = len(cells)
    data = {"c": list(cells), "x": np.arange(rows) % 7 + 0.5, "y": np.arange(rows) % 2}
    return read(data, target="y", **options)


def column(cells: Sequence[Any], **options: Any) -> Column:
    return table(cells, **options).schema["c"]


def kinds_of(found: Table) -> set[str]:
    return {finding.kind for finding in found.findings}


def repeated(*cells: Any, rows: int = 40) -> list[Any]:
    return [cells[i % len(cells)] for i in range(rows)]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (repeated("1", "2.5", "-3e2"), Kind.NUMBER),
        (repeated("1", "", "?", "NA", "4"), Kind.NUMBER),
        (repeated("true", "false"), Kind.BOOLEAN),
        (repeated("Yes", "no", ""), Kind.BOOLEAN),
        (repeated(True, False, None), Kind.BOOLEAN),
        (repeated(0, 1), Kind.NUMBER),
        (repeated("red", "green", "blue"), Kind.CATEGORY),
        (repeated("01234", "98765", "40210"), Kind.CATEGORY),
        ([f"2024-01-{i + 1:02d}" for i in range(30)], Kind.DATETIME),
        ([f"the {i}th sentence of a long story" for i in range(40)], Kind.TEXT),
        ([f"user{i:04d}" for i in range(40)], Kind.IDENTIFIER),
        (list(range(40)), Kind.IDENTIFIER),
        (repeated("same"), Kind.CONSTANT),
        (repeated(""), Kind.CONSTANT),
        (repeated(None), Kind.CONSTANT),
        ([[1, 2]] * 40, Kind.TEXT),
    ],
)
def test_kind_is_inferred(cells: Sequence[Any], kind: Kind) -> None:
    found = column(cells)
    assert found.kind == kind
    assert found.note
    aside = kind in (Kind.TEXT, Kind.IDENTIFIER, Kind.CONSTANT)
    assert found.role == (Role.ASIDE if aside else Role.FEATURE)


@pytest.mark.parametrize(
    ("cells", "values", "form"),
    [
        (["1,234", "56", "7,890,123.5"], [1234, 56, 7890123.5], "thousands"),
        (["0,125", "1,5", "1.234,5"], [0.125, 1.5, 1234.5], "decimal comma"),
        (["1 234", "12", "1 234 567"], [1234, 12, 1234567], "spaced thousands"),
        (["1'234", "12", "5"], [1234, 12, 5], "spaced thousands"),
        (["12%", "7.5 %", "100%"], [0.12, 0.075, 1.0], "percent"),
        (["$1,200", "$3.50", "-$7"], [1200, 3.5, -7], "currency"),
        ([" 1", "2 ", "+3"], [1, 2, 3], ""),
        (["1.335.665", "756.860", "56"], [1335665, 756860, 56], "decimal comma"),
        (["756.860", "1.335.600", "700.000"], [756860, 1335600, 700000], "decimal comma"),
    ],
)
def test_numbers_written_as_text_are_numbers(cells: list[str], values: list[float], form: str) -> None:
    found = table(repeated(*cells, rows=30))
    assert found.schema["c"].form == form
    np.testing.assert_allclose(found.numbers[:3, 0], np.array(values, np.float32))
    again = encode(found.schema, {"c": cells[::-1], "x": [1.0, 2.0, 3.0]})
    np.testing.assert_array_equal(again.numbers[:, 0], found.numbers[:3, 0][::-1])


def test_a_number_that_may_be_thousands_or_decimals_is_reported() -> None:
    found = table(repeated("1,234", "5,678"))
    assert found.numbers[0, 0] == 1234
    assert "ambiguous-numbers" in kinds_of(found)
    assert "ambiguous-numbers" not in kinds_of(table(repeated("1,234", "5.5")))


@pytest.mark.parametrize(
    ("cells", "first"),
    [
        (["31/01/2024", "01/02/2024"], "2024-01-31"),
        (["2024/01/31 10:30", "2024/02/01 11:00"], "2024-01-31T10:30"),
        (["31.01.2024", "01.02.2024"], "2024-01-31"),
        (["Jan 31, 2024", "Feb 1, 2024"], "2024-01-31"),
        (["31-Jan-2024", "01-Feb-2024"], "2024-01-31"),
        (["2024-01-31T10:30:00Z", "2024-02-01T10:30:00Z"], "2024-01-31T10:30"),
        (["2024-01", "2024-02"], "2024-01-01"),
        (["1/31/2024 10:30 PM", "2/1/2024 1:00 AM"], "2024-01-31T22:30"),
    ],
)
def test_common_ways_to_write_dates_are_read(cells: list[str], first: str) -> None:
    found = table(repeated(*cells), time="c")
    assert found.time is not None
    assert found.time[0] == np.datetime64(first)
    new = encode(found.schema, {"c": cells[1:], "x": [1.0], "y": [0]}, target=True)
    assert new.time is not None
    assert new.time[0] == found.time[1]


def test_dates_that_fit_two_orders_are_reported_and_can_be_told() -> None:
    found = table(repeated("01/02/2024", "03/04/2024"), time="c")
    assert "ambiguous-dates" in kinds_of(found)
    assert found.time is not None
    assert found.time[0] == np.datetime64("2024-01-02")
    told = table(repeated("01/02/2024", "03/04/2024"), time="c", kinds={"c": "datetime:%d/%m/%Y"})
    assert told.time is not None
    assert told.time[0] == np.datetime64("2024-02-01")
    assert "ambiguous-dates" not in kinds_of(told)


def test_a_day_that_does_not_exist_is_no_date() -> None:
    assert column(repeated("31/02/2024", "01/03/2024")).kind == Kind.CATEGORY


@pytest.mark.parametrize(
    ("cells", "first"),
    [
        ([20240131, 20240201], "2024-01-31"),
        ([1999, 2001], "1999-01-01"),
        ([86400, 0], "1970-01-02"),
        ([1.7e12, 1.6e12], "2023-11-14T22:13:20"),
    ],
)
def test_numbers_can_be_told_to_be_dates(cells: list[float], first: str) -> None:
    found = table(repeated(*cells), time="c", kinds={"c": "datetime"})
    assert found.time is not None
    assert found.time[0] == np.datetime64(first)


@pytest.mark.parametrize(
    ("cells", "kind", "levels"),
    [
        ([1, 2, 10], "category", ("1", "2", "10")),
        ([1.0, 2.5, None], "category", ("1", "2.5")),
        (["007", "8", "9"], "category", ("007", "8", "9")),
        ([0, 1], "boolean", ("0", "1")),
        (["male", "female"], "boolean", ("female", "male")),
        (["1", "2"], "number", ()),
        (["true", "false"], "category", ("false", "true")),
    ],
)
def test_kinds_can_be_overridden(cells: list[Any], kind: str, levels: tuple[str, ...]) -> None:
    found = table(repeated(*cells), kinds={"c": kind})
    assert found.schema["c"].kind == kind
    assert found.schema["c"].levels == levels
    new = encode(found.schema, {"c": cells, "x": [1.0] * len(cells)})
    np.testing.assert_array_equal(new.codes, found.codes[: len(cells)])
    np.testing.assert_array_equal(new.numbers[:, :-1], found.numbers[: len(cells), :-1])


def test_columns_are_set_aside_or_kept_on_request() -> None:
    assert column(repeated("1", "2"), drop=["c"]).role == Role.ASIDE
    assert column(repeated("1", "2"), kinds={"c": "identifier"}).role == Role.ASIDE
    kept = column([f"user{i}" for i in range(40)], keep=["c"])
    assert (kept.role, kept.kind, len(kept.levels)) == (Role.FEATURE, Kind.CATEGORY, 40)
    assert column(list(range(40)), keep=["c"]).kind == Kind.NUMBER


def test_infinite_values_count_as_missing_and_are_reported() -> None:
    found = table(repeated(1.0, float("inf"), 1e39, 2.0))
    assert np.isnan(found.numbers[:, 0]).sum() == found.schema["c"].missing == 20
    assert "infinite-values" in kinds_of(found)
    new = encode(found.schema, {"c": [float("-inf")], "x": [0.0]})
    assert np.isnan(new.numbers[0, 0])
    assert "infinite-values" in kinds_of(new)


def test_ten_thousand_categories_keep_the_most_frequent() -> None:
    cells = [f"c{i}" for i in range(10_000) for _ in range(2 if i >= 1000 else 5)]
    found = table(cells)
    assert len(found.schema["c"].levels) == 1000
    assert "many-levels" in kinds_of(found)
    assert set(found.schema["c"].levels) == {f"c{i}" for i in range(1000)}
    assert int((found.codes == 0).sum()) == 9000 * 2
    assert found.schema.shape.levels == (1002,)


def test_a_few_slips_among_numbers_count_as_missing_and_are_reported() -> None:
    found = table([*map(str, range(100)), "oops", "n.a."])
    assert found.schema["c"].kind == Kind.NUMBER
    assert found.schema["c"].missing == 2
    assert "unreadable-cells" in kinds_of(found)
    assert np.isnan(encode(found.schema, {"c": ["oops"], "x": [0.0]}).numbers[0, 0])
    assert column(repeated("1", "2", "3", "other")).kind == Kind.CATEGORY


def test_a_dash_is_missing_among_numbers_and_a_level_among_words() -> None:
    assert column(repeated("1", "-", "3")).kind == Kind.NUMBER
    assert column(repeated("a", "-", "None")).levels == ("-", "None", "a")


def test_large_whole_numbers_that_single_precision_merges_are_reported() -> None:
    assert "lost-precision" in kinds_of(table([16_777_216 * 8 + i for i in np.random.default_rng(0).permutation(60)]))


def test_one_value_with_gaps_is_kept_because_the_gaps_may_tell() -> None:
    assert column(repeated("yes", "")).role == Role.FEATURE
    assert column(repeated(3.0, None)).role == Role.FEATURE


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ({"c": "categroy"}, "Did you mean 'category'"),
        ({"d": "category"}, "Unknown column 'd'"),
        ({"c": "number"}, "Row 1 of the column 'c' holds 'red'; expected a number"),
        ({"c": "datetime"}, "Row 1 of the column 'c' holds 'red'; expected a date or time"),
        ({"c": "category:x"}, "takes no format"),
        ({"y": "text"}, "target 'y' cannot be of the kind text"),
    ],
)
def test_overrides_that_do_not_fit_are_named(kinds: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        table(repeated("red", "green", "blue"), kinds=kinds)


def test_dots_of_thousands_are_no_decimals_whatever_their_share() -> None:
    for doubled in (1, 30, 59):
        cells = [f"{i + 1}.335.{i:02}0" for i in range(doubled)] + [f"{i + 100}.{i:02}0" for i in range(60 - doubled)]
        found = table(cells)
        np.testing.assert_array_equal(found.numbers[:, 0], [np.float32(cell.replace(".", "")) for cell in cells])
        assert "unreadable-cells" not in kinds_of(found)
        later = encode(found.schema, {"c": ["756.860"], "x": [1.0]})  # by itself this could be a decimal
        assert later.numbers[0, 0] == 756860


def test_slips_and_times_are_read_and_shown_as_they_are_written() -> None:
    found = table([*(f"{i}.335.665" for i in range(1, 100)), "7.50"])
    assert "'7.50'" in found.findings[0].message
    months = table(["2024.10", "2024.11", "2024.1"], kinds={"c": "datetime:%Y.%m"})
    np.testing.assert_array_equal(np.unique(months.numbers[:, 0]), [19723, 19997, 20028])  # days since 1970
