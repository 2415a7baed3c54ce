"""`--json`: one object on stdout, valid for every reader."""

import json
import math
import sys
from collections.abc import Mapping
from typing import Any


def summary(result: Mapping[str, Any]) -> dict[str, Any]:
    """The result without its "details", which are for the report."""
    return {key: value for key, value in result.items() if key != "details"}


def print_json(value: object) -> None:
    """Prints the value as one JSON object; numbers that JSON does not know (NaN, infinity) become null."""
    encoding = (sys.stdout.encoding or "ascii").lower()
    ascii_only = not encoding.startswith("utf")
    print(json.dumps(_finite(value), ensure_ascii=ascii_only, allow_nan=False, indent=2))


def _finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
