"""The picture of a run: one well-formed drawing, true to the folder."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tutti.core import InputError
from tutti.report import write_picture
from tutti.report._numbers import fixed
from tutti.runs import Run

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def drawing(run_folder: Path, tmp_path: Path) -> ElementTree.Element:
    data = write_picture(run_folder, tmp_path / "run.svg").read_bytes()
    assert write_picture(run_folder, tmp_path / "again.svg").read_bytes() == data
    return ElementTree.fromstring(data)  # noqa: S314


def test_it_is_one_drawing_that_needs_nothing(drawing: ElementTree.Element) -> None:
    assert drawing.tag == f"{SVG}svg"
    assert drawing.attrib["role"] == "img"
    for name in ("title", "desc"):
        found = drawing.find(f"{SVG}{name}")
        assert found is not None
        assert (found.text or "").strip()
    known = {"svg", "title", "desc", "style", "rect", "text", "line", "path", "circle", "clipPath"}
    assert {e.tag.removeprefix(SVG) for e in drawing.iter()} <= known
    assert not any("href" in name for e in drawing.iter() for name in e.attrib)


def test_it_shows_the_scores_of_the_run(drawing: ElementTree.Element, run_folder: Path) -> None:
    result = json.loads((run_folder / "result.json").read_text(encoding="utf8"))
    if not result.get("test"):
        pytest.skip("no test score")
    places = 2 if run_folder.name == "regression" else 3
    expected = [fixed(s["value"], places) for s in (result["test"], *result["baselines"])]
    shown = [e.text for e in drawing.iter(f"{SVG}text") if "value" in e.attrib.get("class", "")]
    assert shown == expected


def test_every_setting_is_drawn_and_the_winner_stands_in_front(
    drawing: ElementTree.Element, run_folder: Path
) -> None:
    if run_folder.name in ("minimal", "no_test"):
        pytest.skip("no curves in the log")
    classes = [e.attrib["class"] for e in drawing.iter(f"{SVG}path") if "clip-path" in e.attrib]
    result = json.loads((run_folder / "result.json").read_text(encoding="utf8"))
    statuses = [s["status"] for s in result["details"]["settings"]]
    left = sum(s in ("dropped", "diverged") for s in statuses)
    assert classes[-1] == "curve"
    if run_folder.name == "hostile":
        return
    assert classes.count("gone") == left
    assert classes.count("crowd") == len(statuses) - left - 1


def test_a_run_without_a_result_is_refused(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "r", "r")
    with pytest.raises(InputError, match="no result yet"):
        write_picture(run.folder, tmp_path / "x.svg")
