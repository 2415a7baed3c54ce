"""`tutti optimizers`: every optimiser by name, with its formula, its paper, its memory, and where it comes from."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tutti.optim import Entry


def optimizers(
    name: Annotated[str | None, typer.Argument(help="One of them, in full; all by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as one JSON object.")] = False,
) -> None:
    """List the optimizers: formula, paper, memory per weight, where they come from, or why there is none."""
    from tutti import optim
    from tutti.cli._json import print_json

    chosen = optim.catalogue() if name is None else optim.about(name)
    if as_json:
        print_json({"optimizers": [entry.to_json() for entry in chosen]})
    else:
        for line in _listed(chosen) if name is None else _told(chosen):
            typer.echo(line)


def _listed(entries: Sequence["Entry"]) -> Iterator[str]:
    """A line for each, under three headings."""
    from tutti.cli._text import clean

    kinds = (
        ("tutti", "Rules of tutti: a whole population in one step"),
        ("torch.optim", "Of torch.optim, member by member"),
        ("pytorch-optimizer", "Of pytorch-optimizer, member by member (pip install 'tutti[optimizers]')"),
        ("", "Known by name, with a reason why they are not here"),
    )
    width = max(len(entry.name) for entry in entries)
    for origin, heading in kinds:
        own = [entry for entry in entries if entry.origin == origin]
        yield f"{heading}: {len(own)}"
        for entry in own:
            yield clean(f"  {entry.name:{width}}  {_short(entry)}")
        yield ""
    yield "memory: numbers of state for each weight. One in full: tutti optimizers NAME"


def _short(entry: "Entry") -> str:
    from tutti.optim import describe

    reference = entry.reference or entry.title or "no paper known"
    if entry.reason:
        return f"{reference}: {entry.reason}"
    known = [describe(target) for target in dict.fromkeys(entry.targets.values())]
    memory = " or ".join(_plain(k["memory"]) for k in known)
    formula = known[0]["formula"].replace("\n", "   ") or known[0]["summary"]
    return f"memory {memory}; {reference}; {formula}"


def _told(entries: Sequence["Entry"]) -> Iterator[str]:
    """All that is known of each."""
    from tutti.cli._text import clean

    for entry in entries:
        about = entry.to_json()
        paper = about["paper"]
        yield clean(entry.key)
        named = ", ".join(part for part in (paper["title"], paper["where"]) if part)
        yield from _line("Paper", named)
        others = [n for n in about["names"] if n != entry.name]
        yield from _line("Also", ", ".join(others))
        yield from _line("From", about["from"] or "")
        yield from _line("Not here", about["why"] or "")
        for target, known in about["rules"].items():
            yield from _rule(target, known)
        yield from _line("Note", about["note"] or "")
        yield ""


def _rule(target: str, known: Mapping[str, Any]) -> Iterator[str]:
    yield from _line("Use", f"--optimizer {target}")
    yield from _line("What", known["summary"])
    for i, line in enumerate(known["formula"].split("\n")):
        yield from _line("Formula" if i == 0 else "", line)
    yield from _line("Source", known["paper"])
    yield from _line("Memory", f"{_plain(known['memory'])} numbers for each weight")
    if known["rate_scale"] is not None:
        yield from _line("Rates", f"{known['rate_scale']:g} times Adam's by default")
    yield from _line("Options", ", ".join(f"{k} {_value(v)}" for k, v in known["options"].items()))


def _line(head: str, text: str) -> Iterator[str]:
    from tutti.cli._text import clean

    if text:
        yield clean(f"  {head:8}  {text}")


def _plain(memory: float | None) -> str:
    return "unknown" if memory is None else f"{memory:g}"


def _value(value: Any) -> str:
    return str(value["name"]) if isinstance(value, Mapping) and "name" in value else str(value)
