"""How the rows were divided, drawn to scale."""

from tutti.report._html import Markup
from tutti.report._numbers import Number
from tutti.report._svg import WIDTH, Drawing

BAR, GAP, LEFT = 14, 6, 62


def split_chart(
    key: str, *, folds: int, train: int, test: int, ordered: bool, title: str, description: str
) -> Markup:
    """One bar per fold: training rows, the block that validates, and the test rows that no fold sees.

    In time order each fold trains on the rows before its validation block; else on all others. Blocks are drawn
    as neighbours; rows that were drawn at random lie anywhere.
    """
    width = WIDTH - LEFT - 4
    held = width * test / max(train + test, 1)
    usable = width - held - (4 if test else 0)
    height = folds * (BAR + GAP) + 30
    drawing = Drawing(key, WIDTH, height, title=title, description=description)
    parts = folds + 1 if ordered else folds
    block = usable / parts
    for fold in range(folds):
        top = fold * (BAR + GAP) + 4
        drawing.text((0, top + 11), f"fold {fold + 1}", "tick")
        start = fold + 1 if ordered else fold
        drawing.box((LEFT, top), usable, BAR, "part unused" if ordered else "part train")
        if ordered:
            drawing.box((LEFT, top), block * start, BAR, "part train")
        drawing.box((LEFT + block * start, top), block, BAR, "part validate")
        if test:
            drawing.box((WIDTH - 4 - held, top), held, BAR, "part test")
    _legend(drawing, height - 8, test=bool(test))
    return drawing.render()


def _legend(drawing: Drawing, y: Number, *, test: bool) -> None:
    x: Number = LEFT
    for class_, words in (("train", "trains"), ("validate", "validates"), ("test", "test, kept apart")):
        if class_ != "test" or test:
            drawing.box((x, y - 9), 10, 10, f"part {class_}")
            drawing.text((x + 15, y), words, "tick")
            x += 90
