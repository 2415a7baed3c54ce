"""Finding an update rule by what a user calls it."""

from collections.abc import Mapping
from typing import Any

from tutti.core import InputTypeError, configure
from tutti.optim._rule import Rule


def find_rule(given: Any) -> Rule:
    """The rule that a name, a JSON description ({"name": …, option: value, …}) or a Rule itself stands for."""
    from tutti.optim import RULES

    if isinstance(given, Rule):
        return given
    if isinstance(given, str):
        return configure("optimizer", RULES, {"name": given})
    if isinstance(given, Mapping):
        return configure("optimizer", RULES, given)
    raise InputTypeError(
        f"The optimizer is a {type(given).__name__}; expected a name, a rule, or a dict with a name."
    )
