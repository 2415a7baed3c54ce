"""Every optimiser by name: what it resolves to, its paper, or the reason why there is none."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import cache
from importlib.resources import files
from typing import Any

import torch

from tutti.core import InputError, Layout, Setting, configure, nearest
from tutti.optim._foreign import EXTRA, REFUSED, TORCH, Foreign, foreign_classes
from tutti.optim._registry import RULES
from tutti.optim._rule import Rule

_SHAPES = {"hidden.weight": (64, 64), "hidden.bias": (64,), "last.weight": (64, 64), "last.bias": (64,)}
_ORIGINS = {TORCH: "torch.optim", EXTRA: "pytorch-optimizer"}
_OFFERED = 4  # names like one that is none


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An optimiser of the literature. Names are told apart by their reference where two share one.

    reference: authors and year; title and where: of the paper (an arXiv number or an address), where known.
    targets: each name that it goes by → what that resolves to: a rule of RULES, or "origin.Class" of another
    package. why: the reason where there is none. memory: numbers of state per weight, measured, for classes of
    others. listed: whether it stands in the list of 154 names that the courses use (Schmidt, Schneider, Hennig 2021).
    """

    name: str
    reference: str = ""
    title: str = ""
    where: str = ""
    targets: Mapping[str, str] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    why: str = ""
    note: str = ""
    memory: float | None = None
    listed: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.name, *self.targets, *self.also)))

    @property
    def reason(self) -> str:
        """Why it cannot train here, or ""."""
        refused = [REFUSED[t] for t in self.targets.values() if t in REFUSED]
        return self.why or (refused[0] if refused and len(refused) == len(self.targets) else "")

    @property
    def key(self) -> str:
        """The name with its reference: what tells it from its namesakes."""
        return f"{self.name} ({self.reference})" if self.reference else self.name

    @property
    def origin(self) -> str:
        """Where it comes from: "tutti", "torch.optim", "pytorch-optimizer", or "" where there is none."""
        if self.reason:
            return ""
        first = next(iter(self.targets.values()))
        return _ORIGINS.get(first.partition(".")[0], "tutti")

    def target(self, name: str) -> str:
        """What one of its names resolves to."""
        return self.targets.get(name) or next(iter(self.targets.values()))

    def to_json(self) -> dict[str, Any]:
        """All that is known, as plain values: the formula, the paper, the memory, where it comes from."""
        known = {
            "name": self.name,
            "names": list(self.names),
            "from": self.origin or None,
            "why": self.reason or None,
        }
        rules = {t: describe(t) for t in dict.fromkeys(self.targets.values()) if not self.reason}
        paper = {"reference": self.reference, "title": self.title, "where": self.where}
        said = {"why": self.reason or None, "note": self.note or None, "listed": self.listed}
        return known | said | {"paper": paper, "rules": rules}


@cache
def catalogue() -> tuple[Entry, ...]:
    """Every optimiser: the list of 154, then native rules and classes of others that it does not hold, by name."""
    text = files("tutti.optim").joinpath("optimizers.json").read_text(encoding="utf8")
    entries = [_entry(data) for data in json.loads(text)]
    reached = {target for entry in entries for target in entry.targets.values()}
    entries += [
        Entry(name=name, reference=paper_of(RULES[name]), targets={name: name})
        for name in RULES
        if name not in reached
    ]
    return tuple(sorted(entries, key=lambda e: (not e.listed, plain(e.name), e.name)))


def _entry(data: Mapping[str, Any]) -> Entry:
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items() if k != "to"}
    return Entry(targets=data.get("to", {}), **values)


def plain(name: str) -> str:
    """A name without case, blanks and signs, but for its pluses."""
    return re.sub(r"[^a-z0-9]", "", name.lower().replace("+", "plus"))


def describe(target: str) -> dict[str, Any]:
    """What is known of a rule or a class: summary, formula, paper, numbers of memory per weight, the usual rate over
    Adam's, options with their defaults. A class of others says its summary and its memory alone."""
    origin, _, optimizer = target.partition(".")
    if target in RULES:
        rule = RULES[target]
        known = {"summary": summary_of(rule), "formula": formula_of(rule), "paper": paper_of(rule)}
        options = {k: v for k, v in rule().to_json().items() if k != "name"}
        return known | {"memory": memory(rule()), "rate_scale": rule().usual_rate, "options": options}
    entry = next((e for e in catalogue() if target in e.targets.values()), None)
    cls = foreign_classes(origin).get(optimizer)
    text = summary_of(cls) if cls is not None else ""
    known = {"summary": text, "formula": "", "paper": ""}
    return known | {"memory": None if entry is None else entry.memory, "rate_scale": None, "options": {}}


def formula_of(rule: type) -> str:
    """What a rule computes: the indented lines of its description, or its first sentence behind the colon; where it
    has neither, those of the rule that it varies."""
    for kind in _own(rule):
        lines = (kind.__doc__ or "").splitlines()
        shown = [re.sub(r"\s{2,}", "   ", s.strip()) for s in lines if s.startswith(" " * 8) and s.strip()]
        if shown:
            return "\n".join(shown)
        first = summary_of(kind).rstrip(".")
        if "←" in first:
            return first.partition(": ")[2]
    return ""


def _own(rule: type) -> tuple[type, ...]:
    """A rule's class and those that it varies, up to what all rules share."""
    return rule.__mro__[: rule.__mro__.index(Rule)]


def summary_of(kind: type) -> str:
    """The first sentence of a description."""
    paragraph = " ".join((kind.__doc__ or "").strip().split("\n\n")[0].split())
    return re.split(r"(?<=\.) (?=[A-Z])", paragraph)[0]


def paper_of(rule: type) -> str:
    """The first paper that a rule's description names, in brackets with its year; or that of the rule it varies."""
    for kind in _own(rule):
        text = " ".join((kind.__doc__ or "").split())
        if found := re.search(r"\(([^()]*\b(?:19|20)\d\d\b[^()]*)\)", text):
            return found[1]
    return ""


def memory(rule: Rule) -> float:
    """Numbers of state per weight, measured on two layers of 64 units."""
    layout = Layout.of_tensors({name: torch.zeros(shape) for name, shape in _SHAPES.items()})
    state = rule.bind(layout).init(torch.zeros(1, layout.count))
    return round(sum(t.numel() for t in state.values()) / layout.count, 2)


def foreign_memory(rule: Foreign) -> float:
    """The same for a class of another package, after two steps of it."""
    layout = Layout.of_tensors({name: torch.zeros(shape) for name, shape in _SHAPES.items()})
    weights = torch.linspace(-1, 1, layout.count)[None].clone()
    stepper = rule.stepper(weights, layout, [Setting()])
    for step in (1, 2):
        stepper.move(
            weights,
            gradient := weights.cos(),
            step=step,
            rate=torch.full((1, 1), 1e-3),
            weight_decay=None,
            momentum=0.9,
            loss=weights.sum(1),
            again=lambda _=None, gradient=gradient: gradient.copy_(weights.cos()).sum(1),
        )
    tensors, _ = stepper.save()
    return round(sum(t.numel() for t in tensors.values()) / layout.count, 2)


def about(name: str) -> tuple[Entry, ...]:
    """The entries that a name may mean, those without a rule too; a name that is none raises with the nearest."""
    found = [entry for entry, _ in _matches(name)]
    if not found:
        _, target = resolve(name)
        found = [e for e in catalogue() if target in e.targets.values()] or [Entry(name=name, targets={name: target})]
    return tuple(found)


def resolve(name: str) -> tuple[Entry | None, str]:
    """The entry that a name belongs to, and what it resolves to: a rule of RULES or "origin.Class".

    A rule's own name stands for itself, and "torch.NAME" or "pytorch_optimizer.NAME" for that class. Else the name
    is looked for as it is written, then without case and signs. One that several papers use must carry its
    reference: "SAdam (Tong et al., 2019)". An entry without a rule raises with its reason; a name that is none, or
    none of that package's classes, with those that are like it.
    """
    if name in RULES:
        return next((e for e in catalogue() if name in e.targets.values()), None), name
    origin, dot, optimizer = name.replace(":", ".", 1).partition(".")
    if dot and origin in (TORCH, EXTRA):
        return None, _exact(origin, optimizer)
    found = _matches(name)
    if len(found) > 1:
        keys = " or ".join(repr(e.key if n == e.name else f"{n} ({e.reference})") for e, n in found)
        raise InputError(f"Several papers call their optimizer {name!r}.", fix=f"Say which: {keys}.")
    if not found:
        return None, _by_rule(name)
    entry, called = found[0]
    if entry.reason:
        of = (
            f" ({entry.reference}; {entry.where})"
            if entry.where
            else f" ({entry.reference})"
            if entry.reference
            else ""
        )
        raise InputError(
            f"{called}{of} cannot be used: {entry.reason}.", fix="tutti optimizers lists those that can."
        )
    return entry, entry.target(called)


def _matches(name: str) -> list[tuple[Entry, str]]:
    """The entries that a name may mean, each with the name it goes by; with the reference there is one at most."""
    bare, bracket, reference = name.partition(" (")
    every = [(entry, called) for entry in catalogue() for called in entry.names]
    if bracket:
        wanted = reference.rstrip(") ")
        every = [(e, n) for e, n in every if plain(e.reference) == plain(wanted)]
    for same in (lambda n: n == bare.strip(), lambda n: plain(n) == plain(bare)):
        found = {e.key: (e, n) for e, n in every if same(n)}
        if found:
            return list(found.values())
    return []


def _by_rule(name: str) -> str:
    """A rule or class by its name without case and signs."""
    options = {plain(n): n for n in RULES}
    for origin in (TORCH, EXTRA):
        for found in foreign_classes(origin):
            options.setdefault(plain(found), f"{origin}.{found}")
    if plain(name) in options:
        return options[plain(name)]
    spelled = {rule.__name__: n for n, rule in RULES.items()} | {n: n for e in catalogue() for n in e.names}
    raise _none(name, [spelled[n] for n in _like(name, spelled)])


def _exact(origin: str, optimizer: str) -> str:
    """The full name of a package's class, by its name without case and signs.

    Where the package is not installed its classes are those that the catalogue names.
    """
    installed = list(foreign_classes(origin))
    listed = (t.partition(".") for e in catalogue() for t in e.targets.values())
    names = installed or [name for package, _, name in listed if package == origin]
    known = {plain(n): n for n in names}
    if plain(optimizer) not in known:
        if not installed:
            raise InputError(
                f"Whether there is {origin}.{optimizer} is not known: pytorch-optimizer is not installed.",
                fix='pip install "tutti[optimizers]"',
            )
        raise _none(f"{origin}.{optimizer}", [f"{origin}.{n}" for n in _like(optimizer.rpartition(".")[2], names)])
    return f"{origin}.{known[plain(optimizer)]}"


def _none(name: str, like: Iterable[str]) -> InputError:
    """The error for a name that is none."""
    offered = " or ".join(repr(n) for n in list(dict.fromkeys(like))[:_OFFERED])
    fix = f"Did you mean {offered}?" if offered else "tutti optimizers lists all that there are."
    return InputError(f"Unknown optimizer {name!r}.", fix=fix)


def _like(name: str, names: Iterable[str]) -> list[str]:
    """The names like one that is none: what it may misspell, and the names that it is a part of, shortest first; one
    that differs by case and signs alone."""
    names = list(names)
    part, close = plain(name), nearest(name, names)
    if same := [n for n in names if plain(n) == part]:
        return same
    holding = sorted((n for n in names if len(part) > 2 and part in plain(n)), key=len)
    # A name that only comes nearest is no better than one that holds what was given.
    alike = close is not None and SequenceMatcher(None, name.lower(), close.lower()).ratio() > 0.8
    return [close, *holding] if close is not None and (alike or not holding) else holding


def rule_of(name: str, options: Mapping[str, Any]) -> Rule:
    """The rule that a name resolves to, with these options."""
    _, target = resolve(name)
    if target in RULES:
        options = {k: _within(v) if k == "rule" else v for k, v in options.items()}
        return configure("optimizer", RULES, {"name": target, **options})
    origin, _, optimizer = target.partition(".")
    given = tuple((k, tuple(v) if isinstance(v, list) else v) for k, v in options.items())
    return Foreign(origin=origin, optimizer=optimizer, options=given)


def _within(given: Any) -> Any:
    """The rule within a wrapper, given by name or by its JSON."""
    if isinstance(given, Mapping):
        return rule_of(str(given.get("name", "")), {k: v for k, v in given.items() if k != "name"})
    return rule_of(given, {}) if isinstance(given, str) else given
