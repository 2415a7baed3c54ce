"""HTML built by functions: whatever is not already markup is escaped."""

import re
from collections.abc import Iterable
from html import escape
from typing import Any

# Control characters, halves of surrogate pairs, and the marks that reverse the direction of what follows.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_VOID = {"meta", "br", "col", "link", "img"}


class Markup(str):
    """Text that is HTML already. Only `tag` and `join` make it; formatting one gives a plain, unsafe str again."""

    __slots__ = ()


Child = str | Iterable[Any] | None  # or lists of children, to any depth


def clean(text: str) -> str:
    """`text` with what a page cannot or should not hold shown as U+FFFD."""
    return _UNSAFE.sub("\ufffd", text)


def join(children: Child) -> Markup:
    """The children one after the other: markup as it is, other strings escaped, None left out."""
    if children is None:
        return Markup()
    if isinstance(children, Markup):
        return children
    if isinstance(children, str):
        return Markup(escape(clean(children), quote=True))
    return Markup("".join(join(child) for child in children))


def tag(name: str, /, *children: Child, **attributes: str | int | float | bool | None) -> Markup:
    """One element. In attribute names `_` becomes a hyphen, a last one is dropped (class_); None is left out."""
    words = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        label = key.rstrip("_").replace("_", "-")
        words.append(label if value is True else f'{label}="{escape(clean(str(value)), quote=True)}"')
    opened = f"<{' '.join(words)}>"
    return Markup(opened if name in _VOID else f"{opened}{join(children)}</{name}>")
