"""Patterns of file names: what becomes a column, and what is refused."""

import pytest

from tutti.core import InputError
from tutti.data._file_names import FileNames

CASES = [
    ("{label}_{speaker}_*.wav", "7_jackson_32.wav", {"label": "7", "speaker": "jackson"}),
    ("{label}_{speaker}_*.wav", "deep/down/7_jackson_3_2.WAV", {"label": "7", "speaker": "jackson"}),
    ("{label}_*.png", "very_big_cat_01.png", {"label": "very"}),
    ("{label}-??.png", "very-big-01.png", {"label": "very-big"}),
    ("{label}/*.png", "a/cat/1.png", {"label": "cat"}),
    ("{label}\\*.png", "a/cat/1.png", {"label": "cat"}),
    ("{group}/{label}/*", "a/cat/1.png", {"group": "a", "label": "cat"}),
    ("*.{label}", "a(1).b+c", {"label": "b+c"}),
    ("{größe}mm.png", "12mm.png", {"größe": "12"}),
    ("{label}_*.wav", "seven.wav", None),
    ("{label}_*.wav", "_1.wav", None),
    ("{label}/*.png", "1.png", None),
]


@pytest.mark.parametrize(("pattern", "path", "found"), CASES)
def test_names_take_as_little_as_will_do_and_never_a_slash(
    pattern: str, path: str, found: dict[str, str] | None
) -> None:
    assert FileNames(pattern).match(path) == found


def test_columns_hold_one_text_for_each_file() -> None:
    names = FileNames("{label}_{speaker}_*.wav")
    assert names.names == ("label", "speaker")
    assert names.columns(["1_ann_0.wav", "2_bob_0.wav"]) == {"label": ["1", "2"], "speaker": ["ann", "bob"]}


def test_the_first_file_that_does_not_fit_is_named() -> None:
    with pytest.raises(InputError, match=r"1 of 2 file names .*'notes.wav' is the first"):
        FileNames("{label}_*.wav").columns(["1_ann_0.wav", "folder/notes.wav"])


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("*.wav", "names no column"),
        ("{label}{speaker}.wav", "nothing between"),
        ("{label}_{label}.wav", "twice"),
        ("{label_*.wav", "lonely '{'"),
        ("{}_*.wav", "has '' as a name"),
        ("{a b}.wav", "has 'a b' as a name"),
    ],
)
def test_a_pattern_that_says_too_little_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        FileNames(pattern)
