"""Samples with what was predicted for them: the worst mistakes, and some of all."""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

from tutti.report._facts import Facts
from tutti.report._html import Markup, tag
from tutti.report._numbers import compact, fixed, is_number
from tutti.report._parts import Section, legend, quiet
from tutti.report._sketches import is_lettered, is_marked, sketch
from tutti.report._words import capital, listed, metric_words, plural, quoted, share, shorten

Example = Mapping[str, Any]
_WIDTHS = {"image": "pixel", "signal": "line", "series": "line", "text": "prose"}


def examples(facts: Facts) -> Section | None:
    """Pictures of judged samples, those with the largest loss first; nothing for a table."""
    found = [e for e in facts.examples if isinstance(e, Mapping)]
    if not found:
        return None
    worst = [e for e in found if e.get("worst")]
    others = [e for e in found if not e.get("worst")]
    groups = [(_worst_words(facts, worst), worst), ("Some of the others, drawn at random.", others)]
    parts = [
        [
            quiet(caption) if worst else None,
            tag("div", *(_card(facts, f"{place}-{i}", e) for i, e in enumerate(members)), class_="examples"),
        ]
        for place, (caption, members) in enumerate(groups)
        if members
    ]
    return Section(key="examples", title="Examples", said=_said(facts, found), shown=[_legend(facts, found), *parts])


def _of_classes(found: Sequence[Example]) -> bool:
    """Whether an answer is right or wrong: a class, or several labels."""
    return all(_is_named(e.get("truth")) and _is_named(e.get("answer")) for e in found)


def _is_named(answer: Any) -> bool:
    return isinstance(answer, str) or (isinstance(answer, list) and all(isinstance(x, str) for x in answer))


def _mistakes(facts: Facts) -> int | None:
    """How many of the samples that judge are mistaken, where the run says it."""
    matrix = facts.details.get("confusion")
    return sum(n for i, row in enumerate(matrix) for j, n in enumerate(row) if i != j) if matrix else None


def _said(facts: Facts, found: Sequence[Example]) -> str:
    if _of_classes(found) and not any(e.get("worst") for e in found):
        return f"No {facts.noun} that judged the network was mistaken; here are some of them, drawn at random."
    if (facts.details.get("splits") or {}).get("rows_test"):
        return f"{capital(facts.noun)}s that took no part in training or choosing, with what the network answers."
    return f"{capital(facts.noun)}s with what was answered by networks that had not trained on them."


def _worst_words(facts: Facts, worst: Sequence[Example]) -> str:
    unit = (facts.details.get("splits") or {}).get("unit")
    turns = {
        "group": ", taken from one group after the other so that no group fills the list",
        "block": ", at most one from each block of time, as neighbours fail alike",
    }.get(str(unit), "")
    if not _of_classes(worst):
        return f"Where it is most wrong: the largest losses of all {facts.noun}s that judge{turns}."
    mistakes = _mistakes(facts)
    if mistakes is None or mistakes > len(worst):
        of = f" of {plural(mistakes, 'mistake')}" if mistakes else ""
        return f"The gravest{of}{turns}: those with the largest loss."
    return "The only mistake." if len(worst) == 1 else f"All {len(worst)} mistakes, the largest loss first."


def _legend(facts: Facts, found: Sequence[Example]) -> Markup | None:
    """What the marks of these pictures mean."""
    picture = found[0].get("picture") or {}
    kind, names = picture.get("kind"), [str(name) for name in picture.get("names") or ()]
    if kind == "series":
        return _series_legend(facts, names)
    if kind == "text" and any(e.get("parts") for e in found):
        if not any(map(is_marked, found)):
            return quiet("No word is marked: none of these answers changes when a single word is left out.")
        words = "the odds of the answer fall when the word is left out", "they rise; the darker, the more"
        return legend(("for-3", f"speaks for the answer: {words[0]}"), ("against-3", f"against it: {words[1]}"))
    if kind == "points":
        axes = f" Places are the items’ {listed([quoted(name) for name in names])}." if names else ""
        if not any(e.get("attention") for e in found):
            return quiet(f"Dots are the items of a set.{axes}")
        least = ("look-0", "an item that the network hardly looks at")
        return legend(least, ("look-4", f"the item that it looks at most: attention, from 0 to 1 in each set.{axes}"))
    if kind == "graph" and any(is_lettered(e) for e in found):
        return quiet("Nodes carry their labels; dots are carbon.")
    if kind == "image" and picture.get("panels"):
        panels = [{"errors": "errors (orange)"}.get(str(name), str(name)) for name in picture["panels"]]
        return quiet(f"From left to right: {listed(panels)}.")
    return None


def _series_legend(facts: Facts, names: Sequence[str]) -> Markup:
    band = facts.details.get("intervals") or {}
    first = f" ({quoted(names[0])}, the first of {len(names)})" if len(names) > 1 else ""
    entries = [("line trace", f"what came, before the forecast and after{first}"), ("line strong", "the forecast")]
    if is_number(band.get("level")):
        entries.append(("band", f"the band that should hold {share(band['level'], 1)} of what comes"))
    return legend(*entries)


def _card(facts: Facts, key: str, example: Example) -> Markup:
    words = _words(facts, example)
    wrong = _of_classes([example]) and example["truth"] != example["answer"]
    caption = tag("figcaption", tag("strong", words) if wrong else words)
    picture = example.get("picture") or {}
    if picture.get("kind") == "series":
        example = {**example, "band": (facts.details.get("intervals") or {}).get("width")}
    shown = sketch(f"example-{key}", example, words)
    kind = "strip" if picture.get("panels") else _WIDTHS.get(str(picture.get("kind")))
    return tag("figure", shown, caption, class_=f"example {kind}" if kind else "example")


def _words(facts: Facts, example: Example) -> str:
    """ "cat, taken for dog (93 %)"; "3.2, predicted 3.4"; "image 12"."""
    truth, answer, probability = (example.get(name) for name in ("truth", "answer", "probability"))
    sure = f" ({100 * probability:.0f} %)" if is_number(probability) else ""
    if isinstance(truth, str):
        return f"{shorten(truth, 24)}{sure}" if truth == answer else f"{shorten(truth, 24)}, taken for {answer}{sure}"
    loss, origin = example.get("loss"), (example.get("picture") or {}).get("origin")
    if origin is not None and is_number(loss) and loss >= 0:
        return f"from {origin}, {metric_words('rmse')} {compact(sqrt(loss))}"
    if isinstance(truth, Sequence) and isinstance(answer, Sequence) and len(truth) <= 4:
        return f"{_several(truth)}, predicted {_several(answer)}"
    return f"{facts.noun} {example.get('row')}" + (f", loss {fixed(loss, 3)}" if is_number(loss) else "")


def _several(values: Sequence[Any]) -> str:
    return listed([compact(v, 4) if is_number(v) else shorten(str(v), 24) for v in values]) or "none"
