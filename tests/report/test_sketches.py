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


def test_a_molecule_names_its_atoms_but_for_carbon_and_other_graphs_have_dots() -> None:
    def drawn(labels: list[str]) -> list[str]:
        picture = {"kind": "graph", "nodes": 3, "edges": [[0, 1], [1, 2]], "labels": labels}
        return re.findall(
            r'<text[^>]*class="atom"[^>]*>([^<]*)</text>', str(sketch("key", {"picture": picture}, "w"))
        )

    assert drawn(["C", "Cl", "O"]) == ["Cl", "O"]
    assert drawn(["2", "5", "6"]) == []
    assert drawn(["17", "", ""]) == []


def test_the_band_lies_about_the_forecast_and_what_came_is_drawn_in_the_same_scale() -> None:
    picture = {"kind": "series", "names": ["load"], "past": [[0.0] * 100], "future": [[0.0, 4.0]]}
    found = sketch("key", {"picture": picture, "answer": [1.0, 2.0], "band": [1.0, 2.0]}, "words")
    (band,) = re.findall(r'<path d="M([^"]*)Z" class="band"', str(found))
    (told,) = re.findall(r'<path d="M([^"]*)" class="trace strong"', str(found))
    corners = [tuple(map(float, corner.split())) for corner in band.split("L")]
    line = [tuple(map(float, corner.split())) for corner in told.split("L")]
    assert [x for x, _ in corners] == [line[0][0], line[1][0], line[1][0], line[0][0]]
    low, high = [corners[3][1], corners[2][1]], [corners[0][1], corners[1][1]]
    for at, (_, middle) in enumerate(line):
        assert abs((low[at] + high[at]) / 2 - middle) <= 0.1
    assert abs((low[1] - high[1]) / (low[0] - high[0]) - 2) < 0.05  # twice as wide
    assert "a band around the last 2" in str(found)


def test_a_band_that_does_not_fit_the_forecast_is_left_out() -> None:
    picture = {"kind": "series", "names": ["load"], "past": [[0.0, 1.0]], "future": [[0.0, 4.0]]}
    for band in (None, [1.0], [1.0, None], "12"):
        found = sketch("key", {"picture": picture, "answer": [1.0, 2.0], "band": band}, "words")
        assert "band" not in str(found)
        assert "trace strong" in str(found)


def test_points_grow_with_attention_and_are_plain_without() -> None:
    picture = {"kind": "points", "points": [[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]}
    looked = str(sketch("key", {"picture": picture, "attention": [1.0, 0.0, 0.5]}, "words"))
    sizes = dict(re.findall(r'r="([\d.]+)" class="(look-\d)"', looked))
    assert sizes == {"4.6": "look-4", "1.4": "look-0", "3": "look-2"}
    assert "3 points, 2 with an attention of 0.5 or more" in looked
    for attention in (None, [1.0], [1.0, None, 0.0]):
        plain = str(sketch("key", {"picture": picture, "attention": attention}, "words"))
        assert plain.count('class="place"') == 3
