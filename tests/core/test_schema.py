import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tutti.core import Column, InputError, Kind, Role, Schema

SCHEMA = Schema(
    columns=(
        Column(name="colour", kind=Kind.CATEGORY, levels=("blue", "red"), distinct=2),
        Column(name="height", kind=Kind.NUMBER, features=("height",), distinct=9),
        Column(name="age", kind=Kind.NUMBER, features=("age",), missing=3, distinct=9),
        Column(name="y", kind=Kind.NUMBER, role=Role.TARGET, features=("y",), distinct=9),
        Column(name="born", kind=Kind.DATETIME, features=("born.year", "born.month"), missing=1, distinct=9),
        Column(name="shop", kind=Kind.CATEGORY, role=Role.SERIES, levels=("a", "b", "c"), distinct=3),
        Column(name="copy", kind=Kind.NUMBER, role=Role.ASIDE, features=("copy",), missing=1, distinct=9),
    ),
    rows=10,
)


def test_inputs_are_numbers_and_categories_in_the_order_of_the_columns():
    assert SCHEMA.numbers == ("height", "age", "born.year", "born.month")
    assert [c.name for c in SCHEMA.categories] == ["colour", "shop"]


def test_the_shape_counts_the_codes_of_missing_and_unseen():
    shape = SCHEMA.shape
    assert (shape.numbers, shape.levels) == (4, (4, 5))
    assert shape.missing == (1, 2)  # age, and the first feature of born; the target and copy do not feed the network


def test_the_shape_tells_switches_from_quantities():
    more = (
        Column(name="member", kind=Kind.BOOLEAN, levels=("no", "yes"), features=("member",), distinct=2),
        Column(name="soil", kind=Kind.NUMBER, features=("soil",), missing=2, distinct=2),
        Column(name="day", kind=Kind.DATETIME, features=("day: elapsed", "day: month"), distinct=2),
    )
    shape = Schema(columns=(*SCHEMA.columns, *more), rows=10).shape
    assert shape.switches == (4, 5)  # after the four numbers above
    assert (shape.numbers, shape.quantities) == (8, 6)


def test_a_schema_survives_json():
    assert Schema.from_json(json.loads(json.dumps(SCHEMA.to_json()))) == SCHEMA


words = st.lists(st.text(max_size=5), unique=True, max_size=3).map(tuple)
fields = st.fixed_dictionaries(
    {
        "name": st.text(min_size=1, max_size=5),
        "kind": st.sampled_from(Kind),
        "role": st.sampled_from(Role),
        "levels": words,
        "features": words,
        "missing": st.integers(0, 10),
        "note": st.text(max_size=5),
        "marks": words,
    }
)


@settings(max_examples=50)
@given(st.lists(fields, unique_by=lambda column: column["name"], max_size=4))
def test_any_schema_survives_json(columns):
    schema = Schema(columns=tuple(Column(**column) for column in columns), rows=5)
    assert Schema.from_json(json.loads(json.dumps(schema.to_json()))) == schema


def test_one_column_is_replaced_and_an_unknown_one_offers_the_nearest():
    changed = SCHEMA.replace("age", role=Role.ASIDE)
    assert changed.numbers == ("height", "born.year", "born.month")
    assert SCHEMA["age"].role == Role.FEATURE
    with pytest.raises(InputError, match="Did you mean 'colour'"):
        SCHEMA["color"]
    with pytest.raises(InputError, match="Did you mean 'age'"):
        SCHEMA.replace("agee", missing=0)


@pytest.mark.parametrize(
    "data", [{}, {"rows": 1, "columns": [{}]}, {"rows": 1, "columns": [{"name": 1, "kind": "x"}]}]
)
def test_a_broken_schema_is_refused(data):
    with pytest.raises(InputError, match="cannot be read"):
        Schema.from_json(data)
