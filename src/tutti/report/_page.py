"""The report: one self-contained page about one run."""

from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from tutti.core import InputError
from tutti.report import (
    _section_data,
    _section_errors,
    _section_examples,
    _section_intervals,
    _section_population,
    _section_record,
    _section_scores,
)
from tutti.report._facts import Facts, read_facts
from tutti.report._html import Markup, tag
from tutti.report._parts import Section, quiet
from tutti.report._words import listed
from tutti.runs import write_atomic

SECTIONS: tuple[Callable[[Facts], Section | None], ...] = (
    _section_scores.scores,
    _section_data.data,
    _section_data.findings,
    _section_data.splits,
    _section_population.population,
    _section_population.curves,
    _section_population.fit_quality,
    _section_examples.examples,
    _section_intervals.intervals,
    _section_errors.errors,
    _section_errors.calibration,
    _section_errors.importance,
    _section_record.optimism,
    _section_record.plan,
    _section_record.environment,
    _section_record.reproduce,
)
"""What follows the verdict, in the order of the page."""


def write_report(run_folder: Path | str, output: Path | str | None = None) -> Path:
    """Writes the page of a run, by default as report.html inside its folder, and returns where it lies.

    It is made from the folder alone, and the same folder gives the same bytes. The page needs no network, no
    script and no font; its content security policy forbids all three. Text from the data is escaped. What the
    run did not record is left out, and the page says so. An existing page is replaced.
    InputError: no run, no result yet, a tampered folder, an output that cannot be written.
    """
    folder = Path(run_folder)
    target = Path(output) if output is not None else folder / "report.html"
    page = render(read_facts(folder))
    if target.is_dir():
        raise InputError(f"{target} is a folder.", fix=f"Name a file, such as {target / 'report.html'}.")
    write_atomic(target, page.encode("utf8"))
    return target


def render(facts: Facts) -> str:
    """The whole page as HTML."""
    sections = [section for make in SECTIONS if (section := make(facts)) is not None]
    shown = [s for s in sections if s.recorded]
    missing = [s.title.lower() for s in sections if not s.recorded]
    style = files("tutti.report").joinpath("style.css").read_text(encoding="utf8")
    left_out = quiet(f"Not recorded by this run, and so not shown: {listed(missing)}.") if missing else None
    body = tag(
        "body",
        tag("a", "Skip to the sections", href="#sections", class_="skip"),
        _section_scores.opening(facts),
        _contents(shown),
        tag("main", *(_section(s) for s in shown), left_out, id="sections"),
        tag("footer", tag("p", f"Made by tutti {facts.tutti} from the run folder {facts.name} alone.")),
    )
    return "<!doctype html>\n" + tag("html", _head(facts, style), body, lang="en") + "\n"


def _head(facts: Facts, style: str) -> Markup:
    digest = b64encode(sha256(style.encode("utf8")).digest()).decode("ascii")
    pictures = "img-src data:; " if facts.examples else ""  # small ones, inside the page
    policy = f"default-src 'none'; {pictures}style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"{facts.name} · tutti"),
        tag("style", Markup(style)),
    )


def _contents(sections: list[Section]) -> Markup:
    links = [tag("li", tag("a", s.title, href=f"#{s.key}")) for s in sections]
    return tag("nav", tag("ul", *links), aria_label="Sections")


def _section(section: Section) -> Markup:
    heading = f"{section.key}-heading"
    said = tag("p", section.said, class_="lead") if section.said is not None else None
    return tag(
        "section",
        tag("div", tag("h2", section.title, id=heading), said, class_="said"),
        tag("div", section.shown, class_="shown") if section.shown is not None else None,
        id=section.key,
        aria_labelledby=heading,
    )
