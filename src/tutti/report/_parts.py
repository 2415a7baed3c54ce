"""The pieces every section is made of: sections, tables, figures, things to unfold."""

from collections.abc import Sequence
from dataclasses import dataclass

from tutti.report._html import Child, Markup, tag

LONG_WORD = 24


@dataclass(frozen=True, kw_only=True)
class Section:
    """One section of the page: the sentence it opens with, and what it shows.

    With neither, the run did not record what the section needs.
    """

    key: str
    title: str
    said: Child = None
    shown: Child = None

    @property
    def recorded(self) -> bool:
        return self.said is not None or self.shown is not None


def quiet(*words: Child) -> Markup:
    return tag("p", *words, class_="quiet")


def figure(drawing: Markup, *caption: Child) -> Markup:
    return tag("figure", drawing, tag("figcaption", *caption))


def figures(*found: Markup | None) -> Markup:
    """Figures beside each other where there is room."""
    return tag("div", *found, class_="figures")


def legend(*entries: tuple[str, str]) -> Markup:
    """What the marks of a picture mean: (class of the mark, words)."""
    shown = [tag("li", tag("span", class_=f"swatch {mark}", aria_hidden="true"), words) for mark, words in entries]
    return tag("ul", *shown, class_="legend")


def unfold(summary: str, *body: Child) -> Markup:
    return tag("details", tag("summary", summary), *body)


def table(
    caption: Child,
    head: Sequence[str],
    rows: Sequence[Sequence[Child]],
    *,
    words: Sequence[int] = (0,),
    strong: Sequence[int] = (),
    class_: str | None = None,
) -> Markup:
    """A table whose first column names each row. Columns are numbers (right-aligned) unless named in `words`."""
    kinds = [None if i in words else "number" for i in range(len(head))]
    top = tag("tr", *(tag("th", h, scope="col", class_=k) for h, k in zip(head, kinds, strict=True)))
    body = []
    for number, row in enumerate(rows):
        first = tag("th", row[0], scope="row", class_="long" if _long(row[0]) else kinds[0])
        rest = [tag("td", cell, class_=k) for cell, k in zip(row[1:], kinds[1:], strict=True)]
        body.append(tag("tr", first, *rest, class_="strong" if number in strong else None))
    inner = tag("table", tag("caption", caption), tag("thead", top), tag("tbody", *body), class_=class_)
    return scroller(inner)


def _long(cell: Child) -> bool:
    """Whether a name must be broken within a word to fit a phone."""
    return isinstance(cell, str) and any(len(word) > LONG_WORD for word in cell.split())


def scroller(inner: Markup) -> Markup:
    """What may be wider than a phone scrolls by itself, with the keyboard too."""
    return tag("div", inner, class_="wide", tabindex="0")


def pairs(found: Sequence[tuple[str, Child]], *, class_: str | None = None) -> Markup:
    """Names and their values."""
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in found), class_=class_)
