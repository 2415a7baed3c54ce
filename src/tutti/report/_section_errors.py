"""Where it is wrong: confusions or residuals, calibration, and what its predictions rest on."""

from collections.abc import Mapping, Sequence
from typing import Any

from tutti.report._chart_intervals import Row, interval_chart
from tutti.report._chart_points import Bin, calibration_chart, residual_chart
from tutti.report._facts import Facts
from tutti.report._html import Child, Markup, tag
from tutti.report._numbers import compact, count, decimals, exact, fixed, interval, is_number
from tutti.report._parts import Section, figure, figures, quiet, scroller, table, unfold
from tutti.report._words import capital, plural, quoted, share, shorten

MANY_CLASSES = 20
SHOWN_FEATURES = 15


def errors(facts: Facts) -> Section:
    """The confusion matrix of classes, or the residuals of a regression."""
    classes, matrix = [str(c) for c in facts.details.get("classes") or []], facts.details.get("confusion")
    if matrix and len(matrix) == len(classes):
        few, noun = len(classes) <= MANY_CLASSES, facts.counted
        shown = (_confusion if few else _class_table)(classes, matrix, noun)
        parts = [None if few else _pairs_table(classes, matrix, noun), shown]
        said = _confused_words(classes, matrix, noun)
        return Section(key="errors", title="Where it is wrong", said=said, shown=parts)
    bins = _bins(facts.details.get("residuals") or {})
    if not bins:
        return Section(key="errors", title="Where it is wrong")
    return _residuals(facts, bins)


def calibration(facts: Facts) -> Section:
    """Whether a predicted probability of 0.8 comes true in 80 of 100 rows."""
    found = facts.details.get("calibration") or {}
    bins = [
        Bin(at=b["predicted"], value=b["observed"], low=b.get("low"), high=b.get("high"), rows=b.get("count") or 0)
        for b in found.get("bins") or []
        if is_number(b.get("predicted")) and is_number(b.get("observed"))
    ]
    if not bins:
        return Section(key="calibration", title="Calibration")
    classes = [str(c) for c in facts.details.get("classes") or []]
    said = f"The share that came true among {facts.counted}s that were given {_given(facts.kind, classes)}; "
    said += "on the diagonal both agree."
    error = found.get("error")
    words: Child = (
        ["On average, predicted probabilities miss the observed share by ", exact(error, fixed(error, 3)), "."]
        if is_number(error)
        else said
    )
    told = "; ".join(f"predicted {b.at:.2f}, observed {b.value:.2f}" for b in bins)
    chart = calibration_chart(
        "calibration-chart", bins, title="Observed share by predicted probability", description=f"{told}."
    )
    rows: list[list[Child]] = [
        [
            exact(b.at, fixed(b.at, 3)),
            exact(b.value, fixed(b.value, 3)),
            interval(b.low, b.high, 3),
            count(b.rows),
        ]
        for b in bins
    ]
    head = ["Predicted", "Observed", "95 % interval", f"{capital(facts.counted)}s"]
    numbers = unfold("The bins in numbers", table("Observed share by predicted probability.", head, rows, words=()))
    caption = f"{said} Larger dots hold more {facts.counted}s; lines are 95 % intervals."
    parts = [figures(figure(chart, caption)), numbers]
    return Section(key="calibration", title="Calibration", said=words, shown=parts)


def _given(kind: str, classes: Sequence[str]) -> str:
    if kind == "binary" and classes:
        return f"this probability of {quoted(classes[-1])}"
    return "their class with this probability" if kind == "multiclass" else "this probability"


def importance(facts: Facts) -> Section:
    """How much the score suffers when one feature is shuffled."""
    found = [f for f in facts.details.get("importance") or [] if is_number(f.get("value"))]
    if not found:
        return Section(key="importance", title="What it rests on")
    ordered = sorted(found, key=lambda f: -f["value"])
    places = decimals([f["value"] for f in ordered], significant=2)
    rows = [
        Row(name=str(f["feature"]), value=f["value"], low=f.get("low"), high=f.get("high"), strong=_sure(f))
        for f in ordered[:SHOWN_FEATURES]
    ]
    sure = sum(_sure(f) for f in ordered)
    top = ordered[0]["feature"]
    said = f"Shuffling a column breaks its tie to the target; what {facts.metric_words} loses by it is the "
    said += "column’s importance. "
    said += f"{plural(sure, 'column')} of {len(ordered)} {'matters' if sure == 1 else 'matter'} beyond the noise"
    said += f", {quoted(str(top))} the most." if sure else "."
    chart = interval_chart(
        "importance-chart",
        rows,
        title="Permutation importance",
        description="; ".join(f"{r.name} {fixed(r.value, places)}" for r in rows) + ".",
        axis=f"loss of {facts.metric_words} when shuffled",
        places=places,
        zero=True,
    )
    caption = (
        "Lines are 95 % intervals; filled dots lie clear of zero. Columns that say the same share their importance."
    )
    cells: list[list[Child]] = [
        [
            str(f["feature"]),
            exact(f["value"], fixed(f["value"], places)),
            interval(f.get("low"), f.get("high"), places),
        ]
        for f in ordered
    ]
    numbers = table("Permutation importance, the largest first.", ["Column", "Importance", "95 % interval"], cells)
    parts = [figures(figure(chart, caption)), unfold(f"All {len(ordered)} columns in numbers", numbers)]
    return Section(key="importance", title="What it rests on", said=said, shown=parts)


def _sure(feature: Mapping[str, Any]) -> bool:
    return is_number(feature.get("low")) and feature["low"] > 0


def _confused_words(classes: Sequence[str], matrix: Sequence[Sequence[int]], noun: str) -> str:
    total = sum(map(sum, matrix))
    wrong = total - sum(row[i] for i, row in enumerate(matrix))
    worst = _worst(classes, matrix, most=1)
    said = f"{count(wrong)} of {plural(total, noun)} {'was' if wrong == 1 else 'were'} put in the wrong class"
    if not worst:
        return said + "."
    number, true, guessed = worst[0]
    if wrong == 1:
        return f"{said}: {quoted(true)} was taken for {quoted(guessed)}."
    return f"{said}; most often {quoted(true)} was taken for {quoted(guessed)} ({plural(number, 'time')})."


def _worst(classes: Sequence[str], matrix: Sequence[Sequence[int]], most: int) -> list[tuple[int, str, str]]:
    """(rows, true class, predicted class), the most frequent confusions first."""
    found = [(n, i, j) for i, row in enumerate(matrix) for j, n in enumerate(row) if i != j and n]
    return [(n, classes[i], classes[j]) for n, i, j in sorted(found, key=lambda f: (-f[0], f[1], f[2]))[:most]]


def _confusion(classes: Sequence[str], matrix: Sequence[Sequence[int]], noun: str) -> Markup:
    """Rows are true classes, columns predicted ones; the shade follows the share of the row."""
    head = [tag("th", "True class", scope="col", class_="corner")]
    head += [tag("th", shorten(c, 24), scope="col", class_="number") for c in classes]
    head.append(tag("th", "Found", scope="col", class_="number"))
    body = []
    for i, (name, row) in enumerate(zip(classes, matrix, strict=True)):
        total = sum(row)
        cells = [
            tag("td", count(n), class_=f"number shade-{round(9 * n / total) if total else 0}" + _mark(i == j, n))
            for j, n in enumerate(row)
        ]
        found = tag("td", share(row[i], total), class_="number found")
        body.append(tag("tr", tag("th", shorten(name, 24), scope="row"), *cells, found))
    over = tag("tr", tag("td"), tag("th", "Predicted class", scope="colgroup", colspan=len(classes)), tag("td"))
    caption = f"{capital(noun)}s of each true class by predicted class; the diagonal is right. "
    caption += "“Found” is the share of a class that was recognised."
    shown = tag(
        "table",
        tag("caption", caption),
        tag("thead", over, tag("tr", *head)),
        tag("tbody", *body),
        class_="heat confusion",
    )
    return scroller(shown)


def _mark(right: bool, number: int) -> str:
    return " right" if right else "" if number else " none"


def _class_table(classes: Sequence[str], matrix: Sequence[Sequence[int]], noun: str) -> Markup:
    """Many classes: how well each is found, the worst first."""
    shares = [(row[i] / sum(row) if sum(row) else 1.0, i) for i, row in enumerate(matrix)]
    rows: list[list[Child]] = [
        [classes[i], count(sum(matrix[i])), share(matrix[i][i], sum(matrix[i]))] for _, i in sorted(shares)
    ]
    head = ["Class", f"{capital(noun)}s", "Found"]
    shown = table("The share of each class that was recognised, the worst first.", head, rows)
    return unfold(f"All {len(classes)} classes", shown)


def _pairs_table(classes: Sequence[str], matrix: Sequence[Sequence[int]], noun: str) -> Markup | None:
    found = _worst(classes, matrix, most=MANY_CLASSES)
    rows: list[list[Child]] = [[true, guessed, count(n)] for n, true, guessed in found]
    head = ["True class", "Taken for", f"{capital(noun)}s"]
    return table("The most frequent confusions.", head, rows, words=(0, 1)) if rows else None


def _bins(found: Mapping[str, Any]) -> list[Bin]:
    names = ("predicted", "mean", "low", "high", "count")
    columns = [found.get(n) or [] for n in names]
    return [
        Bin(at=at, value=mean, low=low, high=high, rows=rows or 0)
        for at, mean, low, high, rows in zip(*columns, strict=False)
        if is_number(at) and is_number(mean)
    ]


def _residuals(facts: Facts, bins: Sequence[Bin]) -> Section:
    places = decimals([b.value for b in bins])
    off = [b for b in bins if b.low is not None and b.high is not None and not b.low <= 0 <= b.high]
    said = "On average the predictions are neither too high nor too low, whatever their size."
    if off:
        said = f"In {len(off)} of {plural(len(bins), 'bin')} of predictions the mean residual is clear of zero: "
        said += ", ".join(
            f"near {compact(b.at)} the truth is {'higher' if b.value > 0 else 'lower'}" for b in off[:3]
        )
        said += ", …" if len(off) > 3 else "."
    told = "; ".join(f"at {compact(b.at)}: {fixed(b.value, places)}" for b in bins)
    chart = residual_chart(
        "residual-chart",
        bins,
        title="Mean residual by prediction",
        description=f"{told}.",
        axis="mean residual (true − predicted)",
    )
    rows: list[list[Child]] = [
        [
            exact(b.at, compact(b.at)),
            exact(b.value, fixed(b.value, places)),
            interval(b.low, b.high, places),
            count(b.rows),
        ]
        for b in bins
    ]
    head = ["Prediction near", "Mean residual", "95 % interval", f"{capital(facts.noun)}s"]
    numbers = unfold(
        "The bins in numbers", table("Residuals (true − predicted) by prediction.", head, rows, words=())
    )
    caption = "The truth minus the prediction, averaged in bins of the prediction. Larger dots hold more "
    caption += f"{facts.noun}s."
    parts = [figures(figure(chart, caption)), numbers, _outputs(facts)]
    return Section(key="errors", title="Where it is wrong", said=said, shown=parts)


def _outputs(facts: Facts) -> Markup | None:
    several = len(facts.target) > 1
    return quiet(f"These are the residuals of the first output, {quoted(facts.target[0])}.") if several else None
