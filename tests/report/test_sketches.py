"""Small pictures of samples: what the words of a text are worth."""

import re
from html import unescape

from tutti.report._sketches import sketch


def shown(parts: list[list[object]], text: str) -> str:
    found = sketch("key", {"picture": {"kind": "text", "text": text}, "parts": parts}, "words")
    assert found is not None
    return str(found)


def test_words_are_shaded_by_what_they_are_worth_and_the_text_stays_whole() -> None:
    text = "good <b> film indeed, said some"
    page = shown([["good ", 0.4], ["<b> ", -0.1], ["film ", 0.001], ["indeed, ", 0.2]], text)
    assert unescape(re.sub(r"<[^>]+>", "", page)) == text
    marks = re.findall(r'<span class="([^"]+)" title="([^"]+)">([^<]+)</span>', page)
    assert [(name, title) for name, title, _ in marks] == [
        ("for-4", "+0.400"),
        ("against-1", "-0.100"),
        ("for-2", "+0.200"),
    ]
    assert [unescape(word) for *_, word in marks] == ["good", "<b>", "indeed,"]


def test_words_that_change_next_to_nothing_are_not_shaded() -> None:
    assert "span" not in shown([["good ", 0.014], ["film", -0.013]], "good film")
    assert "good film" in shown([["odd"]], "good film")
