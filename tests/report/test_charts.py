"""Scales, labels and numbers: what is drawn lies where its value says."""

import re
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutti.report._chart_curves import Curve, Faint, curve_chart
from tutti.report._chart_intervals import Row, interval_chart, row_scale
from tutti.report._numbers import compact, decimals, fixed, seconds
from tutti.report._scale import Scale, apart, spread
from tutti.report._svg import fit_text, text_width, thin

NUMBERS = st.floats(-1e9, 1e9, allow_subnormal=False)


@given(st.lists(NUMBERS, min_size=1, max_size=9))
def test_a_scale_holds_its_values_and_its_ticks_are_round(values: list[float]) -> None:
    scale = spread(values, start=0, end=100)
    assert all(-1e-6 <= scale(v) <= 100 + 1e-6 for v in values)
    ticks = scale.ticks(5)
    assert 1 <= len(ticks) <= 6
    for tick in ticks:
        assert scale.low - 1e-9 * abs(scale.low) <= tick <= scale.high + 1e-9 * abs(scale.high)
        places = scale.tick_places(5)
        assert abs(round(tick, places) - tick) <= 1e-6 * 10.0**-places + 1e-12 * abs(tick)


def test_ticks_are_ones_twos_and_fives() -> None:
    assert Scale(low=0, high=1, start=0, end=1).ticks(5) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert Scale(low=0.93, high=0.99, start=0, end=1).ticks(5) == pytest.approx([0.94, 0.96, 0.98])
    assert Scale(low=-3, high=1240, start=0, end=1).ticks(4) == pytest.approx([0, 500, 1000])


@given(st.lists(st.floats(0, 100), min_size=1, max_size=5))
def test_labels_keep_their_distance(places: list[float]) -> None:
    moved = apart(places, 16, 0, 100)
    assert all(after - before >= 16 - 1e-9 for before, after in pairwise(sorted(moved)))
    assert all(-1e-9 <= m <= 100 + 1e-9 for m in moved)
    order = sorted(range(len(places)), key=lambda i: places[i])
    assert [moved[i] for i in order] == sorted(moved)


def test_labels_that_are_apart_stay() -> None:
    assert apart([10, 90, 50], 16, 0, 100) == [10, 90, 50]


def _circles(svg: str) -> list[float]:
    return [float(x) for x in re.findall(r'<circle cx="([^"]+)"', svg)] or [
        float(x) for x in re.findall(r'<circle [^>]*cx="([^"]+)"', svg)
    ]


def test_dots_lie_where_their_values_say() -> None:
    rows = [
        Row(name="a", value=0.9, low=0.8, high=1.0, strong=True),
        Row(name="b", value=0.8),
        Row(name="c", value=0.85),
    ]
    svg = interval_chart("k", rows, title="t", description="d", axis="score", places=2)
    a, b, c = _circles(svg)
    assert b < c < a
    assert (a - c) == pytest.approx(c - b, abs=0.2)


def test_a_row_far_off_does_not_press_the_others_together() -> None:
    good = [Row(name=str(v), value=v, low=v - 0.02, high=v + 0.02, strong=v == 0.98) for v in (0.98, 0.96, 0.95)]
    far = Row(name="majority", value=0.1, low=0.07, high=0.13)
    scale = row_scale([*good, far], start=0, end=100)
    assert scale.low > 0.9
    svg = interval_chart("k", [*good, far], title="t", description="d", axis="score", places=3)
    assert len(_circles(svg)) == 3
    assert "beyond" in svg
    assert ">0.100<" in svg
    near = Row(name="near", value=0.9)
    assert row_scale([*good, near], start=0, end=100).low <= 0.9


def test_curves_run_through_their_points_and_show_all_of_the_front() -> None:
    steps = list(range(0, 1000, 10))
    front = [(s, 1 - 0.9**s) for s in steps]
    wild = [(s, 1e6 * s) for s in steps]
    svg = curve_chart(
        "k",
        [Curve(name="validation", points=front, class_="strong")],
        [Faint(points=wild, left=True), Faint(points=front[:30], left=True), Faint(points=front, left=False)],
        title="t",
        description="d",
        axis="score",
    )
    paths = re.findall(r'<path d="M([^"]+)" class="([^"]+)" clip-path="url\(#k-frame\)"', svg)
    assert [c for _, c in paths] == ["crowd", "crowd", "crowd", "curve strong"]
    heights = [float(p.split()[1]) for p in paths[-1][0].split("L")]
    assert heights[0] > 200  # the first value lies low on paper
    assert min(heights) > 30
    assert heights == sorted(heights, reverse=True)
    assert len(_circles(svg)) == 1  # the ring of the one that was left within the frame
    assert "validation 1.00" in svg


def test_thinning_keeps_the_ends() -> None:
    points = [(float(i), float(i)) for i in range(1000)]
    kept = thin(points, 100)
    assert len(kept) <= 101
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert thin([], 10) == []


def test_long_names_are_cut() -> None:
    assert fit_text("short", 100) == "short"
    cut = fit_text("x" * 100, 100)
    assert cut.endswith("…")
    assert text_width(cut) <= 100
    assert text_width("汉字") > text_width("ab")


@pytest.mark.parametrize(
    ("value", "places", "sign", "text"),
    [
        (0.97777, 3, False, "0.978"),
        (-0.0021, 3, True, "−0.002"),
        (-0.0001, 3, True, "0.000"),
        (0.011, 3, True, "+0.011"),
        (1234567.2, 0, False, "1,234,567"),
        (None, 3, False, "–"),
        (float("nan"), 3, False, "–"),
        (True, 3, False, "–"),
    ],
)
def test_fixed(value: object, places: int, sign: bool, text: str) -> None:
    assert fixed(value, places, sign=sign) == text


@pytest.mark.parametrize(
    ("values", "places"),
    [
        ([0.978], 3),
        ([1.0], 3),
        ([0.0], 3),
        ([2.94], 2),
        ([54.3], 1),
        ([3245.0], 0),
        ([0.0721], 4),
        ([], 3),
        ([None], 3),
    ],
)
def test_decimals(values: Sequence[float], places: int) -> None:
    assert decimals(values) == places


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.003, "0.003"),
        (1e-5, "1e-5"),
        (0.0, "0"),
        (1e10, "1e10"),
        (64, "64"),
        (None, "–"),
        ("adam", "adam"),
        (True, "True"),
    ],
)
def test_compact(value: object, text: str) -> None:
    assert compact(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.84, "0.8 s"), (14.3, "14 s"), (59.7, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (None, "–")],
)
def test_seconds(value: object, text: str) -> None:
    assert seconds(value) == text
