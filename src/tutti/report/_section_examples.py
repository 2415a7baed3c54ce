"""Samples with what was predicted for them: the worst mistakes, and some of all."""

from collections.abc import Mapping, Sequence
from typing import Any

from tutti.report._facts import Facts
from tutti.report._html import Markup, tag
from tutti.report._numbers import fixed, is_number
from tutti.report._parts import Section, quiet
from tutti.report._sketches import sketch
from tutti.report._words import listed, shorten


def examples(facts: Facts) -> Section | None:
    """Pictures of judged samples, those with the largest loss first; nothing for a table."""
    found = [e for e in facts.examples if isinstance(e, Mapping)]
    if not found:
        return None
    groups = [
        (
            "Where it is most wrong: the largest losses of all samples that judge.",
            [e for e in found if e.get("worst")],
        ),
        ("Some of the others, drawn at random.", [e for e in found if not e.get("worst")]),
    ]
    parts = [
        [quiet(caption), tag("div", *(_card(f"{place}-{i}", e) for i, e in enumerate(members)), class_="examples")]
        for place, (caption, members) in enumerate(groups)
        if members
    ]
    said = _said(found)
    if any(e.get("parts") for e in found):
        said += (
            " Shaded words speak for the answer, underlined ones against it: the odds of the answer fall, or rise, "
            "when the word is left out; the darker, the more."
        )
    return Section(key="examples", title="Examples", said=said, shown=parts)


def _said(found: Sequence[Mapping[str, Any]]) -> str:
    wrong = sum("truth" in e and e["truth"] != e.get("answer") for e in found if e.get("worst"))
    if wrong and isinstance(found[0].get("truth"), str):
        return (
            f"Of the {sum(bool(e.get('worst')) for e in found)} samples with the largest loss {wrong} are mistaken."
        )
    return "Samples that took no part in training or choosing, with what the model answers."


def _card(key: str, example: Mapping[str, Any]) -> Markup:
    words = _words(example)
    wrong = isinstance(example.get("truth"), str) and example["truth"] != example.get("answer")
    caption = tag("figcaption", tag("strong", words) if wrong else words)
    return tag("figure", sketch(f"example-{key}", example, words), caption, class_="example")


def _words(example: Mapping[str, Any]) -> str:
    """ "cat, taken for dog (93 %)"; "3.2, predicted 3.4"; "row 12"."""
    truth, answer, probability = (example.get(name) for name in ("truth", "answer", "probability"))
    sure = f" ({100 * probability:.0f} %)" if is_number(probability) else ""
    if isinstance(truth, str):
        return f"{shorten(truth, 24)}{sure}" if truth == answer else f"{shorten(truth, 24)}, taken for {answer}{sure}"
    if isinstance(truth, Sequence) and isinstance(answer, Sequence) and len(truth) <= 4:
        return f"{_several(truth)}, predicted {_several(answer)}"
    loss = example.get("loss")
    return f"row {example.get('row')}" + (f", loss {fixed(loss, 3)}" if is_number(loss) else "")


def _several(values: Sequence[Any]) -> str:
    return listed([f"{v:.4g}" if is_number(v) else shorten(str(v), 24) for v in values]) or "none"
