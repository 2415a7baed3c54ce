"""Real tables are read as their documentation describes them."""  # catalogue: D1

from pathlib import Path

import numpy as np
import pytest

from tutti.core import InputError, Kind, Role, TableShape
from tutti.data import Reading, encode, read

# file: (header, target, rows, numeric features, categories); rows as published with each data set.
TABLES = {
    "abalone.csv": (False, -1, 4177, 7, 1),
    "adult-test.csv": (False, -1, 16281, 6, 8),
    "adult-train.csv": (False, -1, 32561, 6, 8),
    "banknote_authentication.csv": (False, -1, 1372, 4, 0),
    "boston_housing.csv": (False, -1, 506, 13, 0),
    "breast-cancer-wisconsin.csv": (False, -1, 699, 9, 0),
    "california_housing.csv": (True, "median_house_value", 20640, 8, 1),
    "covertype_15k.csv": (True, -1, 15120, 52, 0),  # Id counts rows; two soil types do not occur
    "diamonds.csv": (True, "price", 53940, 6, 3),
    "german.csv": (False, -1, 1000, 7, 13),
    "horse-colic.csv": (False, 22, 299, 25, 2),  # one of 300 outcomes is '?'
    "ionosphere.csv": (False, -1, 351, 33, 0),  # the second column is 0 everywhere
    "iris.csv": (False, -1, 150, 4, 0),
    "mpg.csv": (True, "mpg", 398, 6, 1),  # the name of the car is text
    "oil-spill.csv": (False, -1, 937, 48, 0),
    "penguins.csv": (True, "species", 344, 4, 2),
    "pima-indians-diabetes.csv": (False, -1, 768, 8, 0),
    "tips.csv": (True, "tip", 244, 3, 3),
    "titanic.csv": (True, "survived", 891, 8, 6),
    "wheat-seeds.csv": (False, -1, 210, 7, 0),
    "wine.csv": (False, -1, 178, 13, 0),
    "winequality-red.csv": (False, -1, 1599, 11, 0),
    "uci/airfoil/data.csv.gz": (False, -1, 1503, 5, 0),
    "uci/energy/data.csv.gz": (False, -1, 768, 8, 0),
    "uci/pol/data.csv.gz": (False, -1, 15000, 26, 0),
    "uci/protein/data.csv.gz": (False, -1, 45730, 9, 0),
    "uci/yacht/data.csv.gz": (False, -1, 308, 6, 0),
}


@pytest.mark.parametrize("file", TABLES)
def test_table_has_the_published_rows_and_kinds(shared_data: Path, file: str) -> None:
    header, target, rows, numbers, categories = TABLES[file]
    table = read(shared_data / "tables" / file, target=target, reading=Reading(header=header))
    assert (table.rows, table.numbers.shape[1], table.codes.shape[1]) == (rows, numbers, categories)
    assert table.schema.shape.numbers == numbers
    assert table.target is not None
    assert len(table.target) == rows


def test_the_forest_cover_has_its_ten_published_quantities(shared_data: Path) -> None:
    shape = read(shared_data / "tables" / "covertype_15k.csv", target="Cover_Type").schema.shape
    assert isinstance(shape, TableShape)
    assert (shape.quantities, len(shape.switches)) == (10, 42)  # 4 areas and 40 soils, of which 2 do not occur


def test_every_table_of_the_folder_is_covered(shared_data: Path) -> None:
    assert {path.name for path in (shared_data / "tables").glob("*.csv")} == {n for n in TABLES if "/" not in n}


def test_adult_has_its_published_missing_values_and_classes(shared_data: Path) -> None:
    table = read(shared_data / "tables" / "adult-train.csv", target=-1, reading=Reading(header=False))
    missing = {c.name: c.missing for c in table.schema.columns if c.missing}
    assert missing == {"1": 1836, "6": 1843, "13": 583}  # workclass, occupation, native country
    labels, counts = np.unique(np.asarray(table.target, dtype=str), return_counts=True)
    assert dict(zip(labels, counts, strict=True)) == {"<=50K": 24720, ">50K": 7841}


def test_titanic_has_its_published_values(shared_data: Path) -> None:
    table = read(shared_data / "tables" / "titanic.csv", target="survived")
    age = table.numbers[:, table.schema.numbers.index("age")]
    assert int(np.isnan(age).sum()) == 177
    np.testing.assert_allclose(np.nanmean(age), 29.699118, atol=1e-5)
    kinds = {c.name: c.kind for c in table.schema.columns}
    assert kinds["alone"] == kinds["adult_male"] == kinds["alive"] == Kind.BOOLEAN
    assert kinds["sex"] == kinds["deck"] == Kind.CATEGORY
    sex = [c.name for c in table.schema.categories].index("sex")
    assert np.bincount(table.codes[:, sex]).tolist() == [0, 0, 314, 577]  # never seen, missing, female, male


def test_labels_of_a_test_file_that_differ_are_shown_with_the_fix(shared_data: Path) -> None:
    fitted = read(shared_data / "tables" / "adult-train.csv", target=-1, reading=Reading(header=False))
    other = shared_data / "tables" / "adult-test.csv"
    with pytest.raises(InputError, match=r"'<=50K\.', '>50K\.'.*'<=50K', '>50K'.*Write '<=50K' for '<=50K\.'"):
        encode(fitted.schema, other, target=True)
    assert encode(fitted.schema, other).rows == 16281


@pytest.mark.parametrize(
    ("name", "rows", "columns"),
    [("digits", 1797, 61), ("iris", 150, 4), ("wine", 178, 13), ("breast_cancer", 569, 30), ("diabetes", 442, 10)],
)
def test_bundled_tables_need_neither_file_nor_target(name: str, rows: int, columns: int) -> None:
    table = read(name)
    assert (table.rows, table.numbers.shape[1], table.source) == (rows, columns, name)  # 3 pixels of digits are 0


def test_series_with_months_and_ett_hours_are_read_as_times(shared_data: Path) -> None:
    months = read(shared_data / "series" / "airline-passengers.csv", target="Passengers", time="Month")
    assert months.time is not None
    assert months.time[0] == np.datetime64("1949-01-01")
    assert months.time[-1] == np.datetime64("1960-12-01")
    assert months.schema["Month"].role == Role.TIME
    hours = read(shared_data / "series" / "ett" / "ETTh1.csv", target="OT", time="date")
    assert (hours.rows, len(hours.schema.with_role(Role.FEATURE))) == (17420, 6)
    assert "date: hour sine" in hours.schema.numbers
    assert "date: days" not in hours.schema.numbers


def test_smiles_are_set_aside_and_alone_are_refused(shared_data: Path) -> None:
    table = read(shared_data / "molecules" / "HIV.csv", target="HIV_active")
    assert (table.rows, table.schema["smiles"].role, len(table.schema.categories)) == (41127, Role.ASIDE, 1)
    with pytest.raises(InputError, match=r"No column is left.*'smiles': every row has its own text.*keep"):
        read(shared_data / "molecules" / "qm7.csv", target="u0_atom")
