"""The style sheet: every pair of text and ground is legible, in light, in dark and on paper."""

import re
from importlib.resources import files

import pytest

CSS = files("tutti.report").joinpath("style.css").read_text(encoding="utf8")
SCHEMES = {
    "light": CSS[: CSS.index("@media")],
    "dark": CSS[CSS.index("prefers-color-scheme: dark") :].partition("*,")[0],
    "print": CSS[CSS.index("@media print") :],
}
Colour = tuple[float, float, float]


def _colours(css: str) -> dict[str, Colour]:
    found = {}
    for name, digits in re.findall(r"--(\w+): #([0-9a-f]{3,6});", css):
        wide = digits if len(digits) == 6 else "".join(d * 2 for d in digits)
        red, green, blue = (int(wide[i : i + 2], 16) / 255 for i in (0, 2, 4))
        found[name] = (red, green, blue)
    return found


def _luminance(colour: Colour) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: Colour, other: Colour) -> float:
    """WCAG 2.2, contrast ratio."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", list(SCHEMES))
def test_text_is_legible(scheme: str) -> None:
    c = _colours(SCHEMES[scheme])
    assert {"paper", "ink", "mute", "wash", "accent"} <= c.keys()
    for words in ("ink", "mute", "accent"):
        assert _contrast(c[words], c["paper"]) >= 4.5, words
    for words in ("ink", "mute"):
        assert _contrast(c[words], c["wash"]) >= 4.5, words
    shares = [int(p) / 100 for p in re.findall(r"var\(--accent\) (\d+)%, var\(--wash\)", CSS)]
    bands, shares = shares[:-9], shares[-9:]  # bands hold no words
    assert bands == [0.18, 0.18]  # in the legend and in the pictures
    assert shares == sorted(shares)
    for share in shares:
        ground = tuple(share * a + (1 - share) * w for a, w in zip(c["accent"], c["wash"], strict=True))
        assert _contrast(c["ink"], ground) >= 4.5, share  # type: ignore[arg-type]


def test_lines_that_carry_meaning_stand_out() -> None:
    for scheme in ("light", "dark"):
        c = _colours(SCHEMES[scheme])
        for line in ("mark", "accent"):
            assert _contrast(c[line], c["paper"]) >= 3, (scheme, line)
