"""`tutti lab palindrome` prints its table and its curves, or JSON."""

import json

import pytest
from typer.testing import CliRunner

from tutti.cli._app import app
from tutti.cli._plot import plot
from tutti.core import InputError

SMALL = ["lab", "palindrome", "--lengths", "3", "--seeds", "1", "--steps", "4", "--threads", "1"]


# catalogue: A13
def test_the_table_and_the_curves_are_printed() -> None:
    shown = CliRunner().invoke(app, SMALL, env={"COLUMNS": "120"})
    assert shown.exit_code == 0
    for word in ("rnn", "gated", "lstm", "Near misses", "sequences seen", "Lengths 1 to 3, 4 steps"):
        assert word in shown.output


def test_json_holds_every_figure() -> None:
    shown = CliRunner().invoke(app, [*SMALL, "--networks", "gated", "--json"])
    result = json.loads(shown.stdout)
    assert [each["network"] for each in result["networks"]] == ["gated"]
    assert result["lengths"] == [1, 3]
    assert result["networks"][0]["curve"][-1][0] == 4 * 64


def test_lengths_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="two whole numbers"):
        CliRunner().invoke(app, ["lab", "palindrome", "--lengths", "few"], catch_exceptions=False)


def test_a_curve_stands_where_its_values_are() -> None:
    lines = plot({"up": [(0, 0), (9, 1)], "flat": [(0, 0.5), (9, 0.5)]}, width=10, height=5, x_label="x", y_label="y")
    assert lines[0] == "y (U up, F flat)"
    assert lines[1].startswith("100% │")
    assert lines[1].endswith("U")
    assert lines[3].count("F") == 10
    assert lines[5].startswith("  0% │U")
