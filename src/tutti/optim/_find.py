"""Finding update rules by what a user calls them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from tutti.core import InputError, InputTypeError
from tutti.optim._catalogue import rule_of
from tutti.optim._rule import Rule


def find_rule(given: Any) -> Rule:
    """The rule that a name, a JSON description ({"name": …, option: value, …}) or a Rule itself stands for.

    Names are those of the catalogue, in any case: rules of tutti, classes of torch.optim and pytorch-optimizer (as
    "torch.NAME" where a rule has the same name), names of papers.
    """
    if isinstance(given, Rule):
        return given
    if isinstance(given, str):
        return rule_of(given.strip(), {})
    if isinstance(given, Mapping):
        if "name" not in given:
            raise InputError("This optimizer has no name.", fix='For example: {"name": "adam", "beta2": 0.99}.')
        return rule_of(str(given["name"]), {k: v for k, v in given.items() if k != "name"})
    raise InputTypeError(
        f"The optimizer is a {type(given).__name__}; expected a name, a rule, or a dict with a name.",
        fix="tutti optimizers lists them.",
    )


def find_rules(given: Any) -> dict[str, Rule]:
    """The rules of a population, by the names that its settings give them: {"": rule} where there is one alone.

    given: what `find_rule` takes, a list of such, or names with commas between them ("adam,muon,sgd"). Each goes by
    its name; two of one name by name and options, "adam(beta2=0.9)".
    """
    if isinstance(given, str):
        parts: Sequence[Any] = [p for p in re.split(r",(?![^(]*\))", given) if p.strip()] or [given]
    else:
        parts = given if isinstance(given, list | tuple) else [given]
    rules = [find_rule(part) for part in parts]
    if not rules:
        raise InputError("There is no optimizer in the list.", fix="Name one, such as adamw.")
    if len(rules) == 1:
        return {"": rules[0]}
    names = [rule.name for rule in rules]
    labels = [rule.name if names.count(rule.name) == 1 else _label(rule) for rule in rules]
    for label in labels:
        if labels.count(label) > 1:
            raise InputError(f"The optimizer {label} is given twice.", fix="Leave one of them out.")
    return dict(zip(labels, rules, strict=True))


def _label(rule: Rule) -> str:
    """The name with the options that are not the usual ones."""
    usual = {f.name: f.default for f in fields(rule)}
    own = {k: v for k, v in rule.to_json().items() if k != "name" and v != usual.get(k)}
    shown = ", ".join(f"{k}={v.get('name') if isinstance(v, Mapping) else v}" for k, v in own.items())
    return f"{rule.name}({shown})" if own else rule.name
