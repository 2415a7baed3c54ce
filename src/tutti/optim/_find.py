"""Finding an update rule by what a user calls it."""

from collections.abc import Mapping
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
