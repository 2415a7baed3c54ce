"""The page of a run: whole, safe, readable by everyone, and true to the folder."""

import json
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tutti.core import InputError
from tutti.report import write_report
from tutti.report._facts import read_facts
from tutti.report._page import render
from tutti.runs import Run

VOID = {"meta", "br", "col", "link"}
Make = Callable[[str, Path], Path]


class Page(HTMLParser):
    """The elements of a page in order, with their attributes, depth and text; counts unbalanced tags."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[dict[str, Any]] = []
        self.elements: list[dict[str, Any]] = []
        self.errors: list[str] = []
        self.feed(text)
        self.close()
        self.errors += [f"never closed: {e['tag']}" for e in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        parents = [e["tag"] for e in self.open]
        element = {"tag": tag, "attrs": dict(attrs), "text": "", "parents": parents}
        if len(dict(attrs)) != len(attrs):
            self.errors.append(f"an attribute twice: {attrs}")
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1]["tag"] != tag:
            self.errors.append(f"closed out of turn: {tag}")
        else:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element["text"] += data

    def all(self, *tags: str) -> list[dict[str, Any]]:
        return [e for e in self.elements if e["tag"] in tags]

    def within(self, parent: str, *tags: str) -> list[dict[str, Any]]:
        return [e for e in self.all(*tags) if parent in e["parents"]]


@pytest.fixture(scope="module")
def text(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    target = write_report(run_folder, tmp_path_factory.mktemp("pages") / "page.html")
    return target.read_text(encoding="utf8")


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_the_page_is_well_formed(page: Page, text: str) -> None:
    assert page.errors == []
    assert text.startswith("<!doctype html>\n<html")
    ids = [e["attrs"]["id"] for e in page.elements if "id" in e["attrs"]]
    assert len(ids) == len(set(ids))
    for link in page.all("a"):
        assert link["attrs"]["href"].removeprefix("#") in ids


def test_nothing_comes_from_elsewhere_and_nothing_runs(page: Page) -> None:
    assert not page.all(
        "script", "link", "img", "iframe", "object", "embed", "form", "base", "image", "use", "foreignobject"
    )
    style = page.all("style")
    assert len(style) == 1
    assert not re.search(r"url\(|@import|@font-face|expression", style[0]["text"])
    for element in page.elements:
        for name, value in element["attrs"].items():
            assert not name.startswith("on")
            assert name not in ("src", "srcset", "style", "action", "formaction", "xlink:href")
            assert "://" not in (value or "")
            assert not (value or "").lower().startswith("javascript:")
            if "url(" in (value or ""):
                assert re.fullmatch(r"url\(#[a-z-]+\)", value or "")


def test_the_policy_allows_this_style_sheet_and_nothing_else(page: Page) -> None:
    policy = next(e["attrs"]["content"] for e in page.all("meta") if "http-equiv" in e["attrs"])
    digest = b64encode(sha256(page.all("style")[0]["text"].encode("utf8")).digest()).decode("ascii")
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def test_a_screen_reader_finds_its_way(page: Page) -> None:
    assert page.all("html")[0]["attrs"]["lang"] == "en"
    for landmark in ("header", "nav", "main", "footer", "h1", "title"):
        found = [e for e in page.all(landmark) if "svg" not in e["parents"]]
        assert len(found) == 1, landmark
    levels = [int(e["tag"][1]) for e in page.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(e["attrs"].get("scope") in ("col", "row", "colgroup") for e in page.all("th"))
    assert len(page.all("figcaption")) == len(page.all("figure"))
    assert [e["attrs"]["href"] for e in page.within("nav", "a")] == [
        f"#{e['attrs']['id']}" for e in page.all("section")
    ]


def test_each_drawing_says_what_it_shows(page: Page) -> None:
    names = {e["attrs"]["id"]: e["text"] for e in page.all("title", "desc") if "id" in e["attrs"]}
    for drawing in page.all("svg"):
        assert drawing["attrs"]["role"] == "img"
        for name in drawing["attrs"]["aria-labelledby"].split():
            assert names[name].strip()
        assert "viewbox" in drawing["attrs"]


def test_every_number_is_what_its_exact_value_says(page: Page, run_folder: Path) -> None:
    for element in page.all("data"):
        shown = element["text"].replace(",", "").replace("−", "-")
        value = float(element["attrs"]["value"])
        digits = len(shown.partition("e")[0].partition(".")[2])
        power = int(shown.partition("e")[2] or 0)
        assert abs(float(shown) - value) <= 0.5001 * 10.0 ** (power - digits) + 1e-12 * abs(value), shown


def test_the_numbers_are_those_of_the_result(page: Page, run_folder: Path) -> None:
    result = json.loads((run_folder / "result.json").read_text(encoding="utf8"))
    exact = {float(e["attrs"]["value"]) for e in page.all("data")}
    expected: list[Any] = []
    if test := result.get("test"):
        expected += [test["value"], test["low"], test["high"]]
    for b in result.get("baselines") or []:
        expected += [b[k] for k in ("value", "low", "high", "difference", "difference_low", "difference_high")]
    details = result["details"]
    expected += [s["score"] for s in details.get("settings", []) if s["score"] is not None]
    expected += [f[k] for f in details.get("importance", []) for k in ("value", "low", "high")]
    expected += [m["value"] for m in details.get("metrics", [])]
    expected += [b["observed"] for b in details.get("calibration", {}).get("bins", [])]
    expected += details.get("residuals", {}).get("mean", [])
    expected += details.get("fold_scores", [])
    if optimism := details.get("optimism"):
        expected += [optimism["value"], optimism["corrected"]]
    assert set(expected) <= exact
    if "confusion" in details:
        cells = [e["text"] for e in page.within("tbody", "td") if "shade" in e["attrs"].get("class", "")]
        assert "".join(str(n) for row in details["confusion"] for n in row) in "".join(cells)


def test_the_verdict_stands_first(page: Page, run_folder: Path) -> None:
    result = json.loads((run_folder / "result.json").read_text(encoding="utf8"))
    if run_folder.name != "hostile":
        assert page.all("h1")[0]["text"] == result["verdict"]
    order = [e["tag"] for e in page.elements]
    assert order.index("h1") < order.index("section")


def test_no_path_of_the_machine_is_shown(text: str, run_folder: Path) -> None:
    assert str(run_folder) not in text
    assert str(run_folder.parent.parent) not in text
    assert str(Path.home()) + "/" not in text


def test_the_same_folder_gives_the_same_bytes(run_folder: Path, tmp_path: Path, text: str) -> None:
    assert write_report(run_folder, tmp_path / "again.html").read_bytes() == text.encode("utf8")


def test_hostile_text_is_shown_as_text(make_run: Make, tmp_path: Path) -> None:
    text = write_report(make_run("hostile", tmp_path / "hostile")).read_text(encoding="utf8")
    assert "<script" not in text
    assert not set(text) & set("\x1b\u202e\udc80\x00")
    page = Page(text)
    shown = '<script>alert("x")</script>&\'"\ufffd\ufffd[31m\ufffd'
    assert page.all("h1")[0]["text"] == shown
    for tag in ("th", "td", "li", "code", "dd", "dt", "p"):
        assert any(shown in e["text"] for e in page.all(tag)), tag
    assert any(e["text"] == "</td></table>" for e in page.all("th"))


SECTIONS = {
    "binary": "scores data findings splits population curves fit errors calibration importance optimism plan "
    "environment",
    "regression": "scores data findings splits population curves fit errors importance optimism plan environment",
    "no_test": "findings splits population curves fit optimism plan environment",
    "minimal": "environment",
}


@pytest.mark.parametrize("sort", list(SECTIONS))
def test_what_was_not_recorded_is_left_out_and_named(make_run: Make, tmp_path: Path, sort: str) -> None:
    page = Page(write_report(make_run(sort, tmp_path / sort)).read_text(encoding="utf8"))
    shown = [e["attrs"]["id"] for e in page.all("section")]
    assert shown == [*SECTIONS[sort].split(), "reproduce"]
    lines = [e["text"] for e in page.within("main", "p") if e["text"].startswith("Not recorded")]
    assert len(lines) == (sort != "binary")
    if sort == "no_test":
        assert lines == [
            "Not recorded by this run, and so not shown: scores, what was read, where it is wrong, calibration "
            "and what it rests on."
        ]


@pytest.mark.parametrize("sort", ["binary", "regression"])
@pytest.mark.parametrize("gone", ["absent", "null"])
def test_any_part_of_the_result_may_be_absent(make_run: Make, tmp_path: Path, sort: str, gone: str) -> None:
    facts = replace(read_facts(make_run(sort, tmp_path / sort)), log=[])
    details = dict(facts.details)

    def without(data: dict[str, Any], key: str) -> dict[str, Any]:
        return {k: v for k, v in data.items() if k != key} | ({key: None} if gone == "null" else {})

    results = [without(dict(facts.result), key) for key in facts.result]
    results += [dict(facts.result) | {"details": without(details, key)} for key in details]
    for result in results:
        assert render(replace(facts, result=result)).endswith("</html>\n")


def test_a_selection_score_is_never_called_a_test(make_run: Make, tmp_path: Path) -> None:
    folder = make_run("no_test", tmp_path / "r")
    text = write_report(folder).read_text(encoding="utf8")
    assert "cross-validated accuracy, corrected for the search" in text
    run = Run.open(folder)
    result = run.read_json("result.json")
    del result["details"]["optimism"]
    run.write_json("result.json", result)
    text = write_report(folder).read_text(encoding="utf8")
    assert "cross-validated accuracy (selection score)" in text
    assert "test accuracy" not in text


def test_the_heat_map_says_in_words_who_won_and_who_left(make_run: Make, tmp_path: Path) -> None:
    page = Page(write_report(make_run("binary", tmp_path / "r")).read_text(encoding="utf8"))
    cells = [e for e in page.all("td") if "shade" in e["attrs"].get("class", "")][:32]
    best = [e["text"] for e in cells if "winner" in e["attrs"]["class"]]
    assert best == ["0.829best"]
    assert sum("diverged" in e["text"] for e in cells) == 2
    assert sum("dropped" in e["text"] for e in cells) == 20


@pytest.mark.parametrize(
    ("higher", "low", "high", "word"),
    [
        (True, 0.01, 0.2, "better"),
        (True, -0.2, -0.01, "worse"),
        (False, 0.01, 0.2, "worse"),
        (False, -0.2, -0.01, "better"),
        (True, -0.1, 0.1, "not distinguishable"),
        (False, None, 0.1, "not compared"),
    ],
)
def test_a_difference_reads_the_right_way_round(
    tmp_path: Path, higher: bool, low: float | None, high: float, word: str
) -> None:
    run = Run.create(tmp_path / "r", "r")
    metric = "accuracy" if higher else "rmse"
    baseline = {"name": "linear", "value": 0.5, "difference": 0, "difference_low": low, "difference_high": high}
    test = {"metric": metric, "value": 0.5, "low": 0.4, "high": 0.6, "n": 50}
    run.write_json("result.json", {"test": test, "baselines": [baseline], "verdict": "v"})
    page = Page(write_report(run.folder).read_text(encoding="utf8"))
    assert [e["text"] for e in page.all("span") if e["attrs"].get("class") == "reading"] == [word]


def test_the_default_place_is_inside_the_run_and_keeps_its_seal(make_run: Make, tmp_path: Path) -> None:
    folder = make_run("binary", tmp_path / "runs" / "titanic")
    target = write_report(folder)
    assert target == folder / "report.html"
    assert Run.open(folder).sealed
    assert write_report(folder) == target  # a page may be written again
    assert "tutti rerun runs/titanic" in target.read_text(encoding="utf8")


def test_a_page_may_change_without_breaking_the_seal_of_its_run(make_run: Make, tmp_path: Path) -> None:
    run = Run.open(make_run("binary", tmp_path / "titanic"))
    (run.folder / "report.html").write_text("as an earlier version drew it", encoding="utf8")
    run.seal()
    write_report(run.folder)
    Run.open(run.folder).verify()
    assert "earlier version" not in (run.folder / "report.html").read_text(encoding="utf8")


def test_what_cannot_be_reported_is_one_clear_error(make_run: Make, tmp_path: Path) -> None:
    run = Run.create(tmp_path / "young", "young")
    with pytest.raises(InputError, match=r"young has no result yet \(it is 'running'\)"):
        write_report(run.folder)
    folder = make_run("minimal", tmp_path / "r")
    with pytest.raises(InputError, match=r"is a folder\. Name a file"):
        write_report(folder, tmp_path)
    with pytest.raises(InputError, match="Cannot write"):
        write_report(folder, tmp_path / "nowhere" / "x.html")
    (folder / "result.json").write_text("{}", encoding="utf8")
    with pytest.raises(InputError, match=r"result\.json was changed"):
        write_report(folder)


def sections(folder: Path) -> dict[str, str]:
    """The words of each section of a run's page."""
    page = Page(write_report(folder).read_text(encoding="utf8"))
    return {e["attrs"]["id"]: e["text"] for e in page.all("section")}


def changed(folder: Path, **parts: Any) -> Path:
    """The run with other files, or with other details of its result."""
    run = Run.open(folder)
    for name, value in parts.items():
        old = run.read_json(f"{name}.json") if run.has(f"{name}.json") else {}
        details = {**old.get("details", {}), **value.pop("details", {})} if isinstance(value, dict) else {}
        run.write_json(f"{name}.json", {**old, **value, "details": details} if details else value)
    return run.folder


FUTURES = {"level": 0.9, "width": [0.5, 1.0, 2.0], "n": 400, "held": {"value": 0.81, "low": 0.75, "high": 0.86}}


def forecasts(make_run: Make, folder: Path, **more: Any) -> Path:
    """A run that forecasts three steps of one series."""
    picture = {"kind": "series", "names": ["load"], "past": [[1.0, 2.0, 3.0]], "future": [[4.0, 3.0, 2.0]]}
    picture["origin"] = "2026-01-01"
    shown = [{"picture": picture, "row": 5, "loss": 0.25, "worst": True, "truth": [4, 3, 2], "answer": [3.5, 3, 2.5]}]
    run = make_run("regression", folder)
    changed(
        run, result={"data": {"kind": "series", "rows": 90, "columns": 2}, "details": {"intervals": FUTURES | more}}
    )
    return changed(run, examples=shown)


# catalogue: E3
def test_a_band_around_forecasts_is_drawn_and_its_promise_stands_beside_what_it_held(
    make_run: Make, tmp_path: Path
) -> None:
    folder = forecasts(make_run, tmp_path / "load", held_each=[0.99, 0.9, 0.54])
    said = sections(folder)
    assert "should hold 90\u00a0% of what comes" in said["intervals"]
    assert "It held a share of 0.810 of the test values (95 % interval 0.750 to 0.860): less" in said["intervals"]
    steps = "Test values held10.5099\u00a0%21.0090\u00a0%32.0054\u00a0%"  # the cells of a table, one after the other
    assert said["intervals"].endswith(steps)
    assert "the band that should hold 90\u00a0% of what comes" in said["examples"]
    assert "from 2026-01-01, RMSE 0.5" in said["examples"]
    page = Page(write_report(folder).read_text(encoding="utf8"))
    assert [e["attrs"]["class"] for e in page.within("svg", "path")].count("band") == 1


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.75, 0.86, "less than it promises."),
        (0.85, 0.95, "no clear difference from what it promises."),
        (0.91, 0.99, "more than it promises, so it is wider than it had to be."),
        (None, None, "how sure that is, is not known."),
    ],
)
def test_what_a_band_held_is_read_by_its_interval(
    make_run: Make, tmp_path: Path, low: float | None, high: float | None, words: str
) -> None:
    held = {"value": 0.9, "low": low, "high": high}
    assert words in sections(forecasts(make_run, tmp_path / "load", held=held))["intervals"]


@pytest.mark.parametrize(
    ("kind", "task", "sample", "counted"),
    [
        ("table", "binary", "row", "row"),
        ("images", "binary", "image", "image"),
        ("images", "segmentation", "image", "pixel"),
        ("series", "regression", "window", "window"),
        ("language", "language", "window", "window"),
        ("edges", "binary", "edge", "edge"),
    ],
)
def test_samples_are_called_what_they_are(
    make_run: Make, tmp_path: Path, kind: str, task: str, sample: str, counted: str
) -> None:
    folder = make_run("binary", tmp_path / "run")
    said = sections(changed(folder, result={"data": {"kind": kind, "rows": 891, "columns": 3}}, task={"kind": task}))
    assert said["errors"].startswith(f"Where it is wrong30 of 179 {counted}s were put in the wrong class")
    assert f"{counted.capitalize()}s of each true class" in said["errors"]
    assert f"716 {sample}s to train and choose on, 179 {sample}s kept apart for the test." in said["splits"]
    assert f"Judged in pairs on 179 {sample}s" in said["scores"]


def classified(make_run: Make, folder: Path, examples: list[dict[str, Any]], **more: Any) -> dict[str, str]:
    details = {"confusion": [[60, 2], [1, 97]], **more}
    run = changed(make_run("binary", folder), result={"data": {"kind": "text", "rows": 800}, "details": details})
    return sections(changed(run, examples=examples))


def answered(answer: str, *, worst: bool, **more: Any) -> dict[str, Any]:
    picture = {"kind": "text", "text": "a fine film"}
    return {"picture": picture, "row": 1, "loss": 0.1, "worst": worst, "truth": "yes", "answer": answer, **more}


def test_the_worst_are_counted_as_what_they_are(make_run: Make, tmp_path: Path) -> None:
    wrong, right = answered("no", worst=True), answered("yes", worst=False)
    few = classified(make_run, tmp_path / "few", [wrong, right])
    assert "The gravest of 3 mistakes: those with the largest loss." in few["examples"]
    assert "All 3 mistakes" in classified(make_run, tmp_path / "all", [wrong, wrong, wrong, right])["examples"]
    none = classified(make_run, tmp_path / "none", [right], confusion=[[60, 0], [0, 100]])
    assert "No text that judged the network was mistaken; here are some of them" in none["examples"]
    assert "drawn at random." in none["examples"]
    splits = {"unit": "group", "rows_test": 160, "rows_train": 640, "folds": 5}
    assert (
        "from one group after the other" in classified(make_run, tmp_path / "g", [wrong], splits=splits)["examples"]
    )


def test_a_legend_says_what_marks_mean_and_where_no_word_is_marked(make_run: Make, tmp_path: Path) -> None:
    marked = answered("no", worst=True, parts=[["a ", 0.0], ["fine ", 0.4], ["film", -0.1]])
    faint = answered("no", worst=True, parts=[["a ", 0.0], ["fine ", 0.004], ["film", -0.001]])
    shown = classified(make_run, tmp_path / "marked", [marked, faint])["examples"]
    assert "speaks for the answer: the odds of the answer fall when the word is left out" in shown
    assert "No word is marked" in classified(make_run, tmp_path / "faint", [faint])["examples"]
    plain = classified(make_run, tmp_path / "plain", [answered("no", worst=True)])["examples"]
    assert "speaks for" not in plain
    assert "No word" not in plain


def test_the_trivial_baseline_is_called_what_it_is(make_run: Make, tmp_path: Path) -> None:
    folder = make_run("binary", tmp_path / "run")
    baselines = Run.open(folder).read_json("result.json")["baselines"]
    baselines[2]["name"] = "trivial"
    said = sections(changed(folder, result={"baselines": baselines}))["scores"]
    assert "better than logistic regression and constant" in said
    assert "trivial" not in said
