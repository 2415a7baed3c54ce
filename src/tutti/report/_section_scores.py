"""The verdict, and the scores beside the baselines."""

from collections.abc import Mapping
from typing import Any

from tutti.report._chart_intervals import Row, interval_chart, row_scale
from tutti.report._facts import Facts, Score
from tutti.report._html import Child, Markup, tag
from tutti.report._numbers import compact, count, decimals, exact, fixed, interval, is_number, seconds
from tutti.report._parts import Section, figure, pairs, quiet, table, unfold
from tutti.report._words import capital, listed, metric_words, plural, shorten, spaced, task_words

OURS = "this network"
_FITS = {"good": "good", "under": "under-fitted", "over": "over-fitted"}


def opening(facts: Facts) -> Markup:
    """The head of the page: what this is, the verdict, the score, and the run in a few numbers."""
    about = [facts.name, task_words(facts.kind)] if facts.kind else [facts.name]
    about += [f"target {listed(facts.target)}"] if facts.target else []
    verdict = str(facts.result.get("verdict") or f"The run {facts.name} has no verdict.")
    return tag(
        "header",
        tag("p", tag("span", "tutti", class_="brand"), *(tag("span", words) for words in about), class_="about"),
        tag("h1", verdict),
        _state(facts),
        tag("div", _headline(facts), _glance(facts), class_="opening"),
    )


def scores(facts: Facts) -> Section:
    """The chart and the table of this network and its baselines, and the other metrics."""
    score, baselines = facts.score, facts.result.get("baselines") or []
    if score is None or not baselines:
        return Section(key="scores", title="Scores", shown=_others(facts))
    rows = score_rows(facts, score)
    places = score_places(facts)
    better = "higher" if facts.higher_is_better else "lower"
    said = "; ".join(f"{r.name} {fixed(r.value, places)}" for r in rows)
    chart = interval_chart(
        "scores-chart",
        rows,
        title=f"{capital(score.words)}, this network and its baselines",
        description=f"Dots with 95 % intervals, {better} is better: {said}.",
        axis=f"{score.words} ({better} is better)",
        places=places,
    )
    caption = "Dots are scores, lines are 95 % intervals. The intervals of two rows may overlap and the "
    caption += f"difference still be sure, because both were judged on the same {facts.noun}s: see the table. "
    frame = row_scale(rows, start=0, end=1)
    if any(not frame.low <= r.value <= frame.high for r in rows):
        caption += "An arrowhead points to a score beyond the frame."
    parts = [
        tag("div", figure(chart, caption), _differences(facts, baselines, places), class_="beside"),
        _others(facts),
        _tuning(facts),
    ]
    return Section(key="scores", title="Scores beside the baselines", said=_summary(facts, baselines), shown=parts)


def score_rows(facts: Facts, score: Score) -> list[Row]:
    """This network first, then its baselines."""
    rows = [Row(name=OURS, value=score.value, low=score.low, high=score.high, strong=True)]
    known = [b for b in facts.result.get("baselines") or [] if is_number(b.get("value"))]
    return rows + [Row(name=called(b), value=b["value"], low=b.get("low"), high=b.get("high")) for b in known]


def called(baseline: Mapping[str, Any]) -> str:
    """A baseline's name as a reader says it: what always answers the same is the constant."""
    name = str(baseline["name"])
    return "constant" if name == "trivial" else name


def score_places(facts: Facts) -> int:
    """The decimals in which all scores of the run's metric are shown."""
    score = facts.score
    values = [score.value] if score else []
    return decimals([*values, *(b.get("value") for b in facts.result.get("baselines") or [])])


def reading(facts: Facts, baseline: Mapping[str, Any]) -> str:
    """What a paired difference (this network − baseline) says, in a word."""
    low, high = baseline.get("difference_low"), baseline.get("difference_high")
    if not (is_number(low) and is_number(high)):
        return "not compared"
    if low <= 0 <= high:
        return "not distinguishable"
    return "better" if (low > 0) == facts.higher_is_better else "worse"


def _state(facts: Facts) -> Markup | None:
    if facts.status == "finished":
        return None
    return quiet(f"This run was {facts.status}: what follows is the best that it had reached.")


def _headline(facts: Facts) -> Markup | None:
    """The one number, large."""
    score = facts.score
    if score is None:
        return None
    places = score_places(facts)
    low_high = interval(score.low, score.high, places)
    notes: list[Child] = [tag("span", "95 % interval ", low_high)] if low_high else []
    notes += [tag("span", f"n = {score.rows:,}")] if is_number(score.rows) else []
    return tag(
        "p",
        tag("span", exact(score.value, fixed(score.value, places)), class_="figure"),
        tag("span", score.words, class_="what"),
        tag("span", *notes, class_="notes"),
        class_="headline",
    )


def _glance(facts: Facts) -> Markup:
    """The run in a few numbers."""
    data, members = facts.result.get("data") or {}, facts.result.get("members") or {}
    found: list[tuple[str, Child]] = []
    if is_number(data.get("rows")):
        kind = str(data.get("kind") or "table")
        columns = f" × {count(data['columns'])}" if kind == "table" and is_number(data.get("columns")) else ""
        noun = "Rows × columns" if columns else f"{capital(facts.noun)}s"
        found.append((noun, count(data["rows"]) + columns))
    if is_number(members.get("trained")):
        lost = [f"{count(members[k])} {k}" for k in ("dropped", "diverged") if members.get(k)]
        found.append(("Networks trained", [count(members["trained"]), _small(", ".join(lost))]))
    if facts.result.get("fit_quality"):
        fit = str(facts.result["fit_quality"])
        found.append(("Fit", _FITS.get(fit, fit)))
    if facts.best:
        kept = [k for k in ("learning_rate", "weight_decay") if k in facts.best]
        found += [(capital(spaced(k)), compact(facts.best[k])) for k in kept]
    if is_number(facts.result.get("seconds")):
        found.append(("Time, all in all", seconds(facts.result["seconds"])))
    return pairs(found, class_="glance")


def _small(words: str) -> Markup | None:
    return tag("span", words, class_="small") if words else None


def _summary(facts: Facts, baselines: list[Mapping[str, Any]]) -> str:
    """One sentence from the paired differences."""
    by_word: dict[str, list[str]] = {}
    for baseline in baselines:
        by_word.setdefault(reading(facts, baseline), []).append(shorten(called(baseline), 40))
    order = ["better", "not distinguishable", "worse", "not compared"]
    links = {
        "better": "better than",
        "not distinguishable": "not distinguishable from",
        "worse": "worse than",
        "not compared": "not compared in pairs with",
    }
    said = [f"{links[word]} {listed(by_word[word])}" for word in order if word in by_word]
    rows = f" on {plural(facts.score.rows, facts.noun)}" if facts.score and is_number(facts.score.rows) else ""
    return f"Judged in pairs{rows}, this network is {'; '.join(said)}."


def _differences(facts: Facts, baselines: list[Mapping[str, Any]], places: int) -> Markup:
    score = facts.score
    assert score is not None
    spans = [b.get(k) for b in baselines for k in ("difference", "difference_low", "difference_high")]
    finer = min(max(places, decimals(spans, significant=2)), places + 2)
    rows: list[list[Child]] = [
        [OURS, [exact(score.value, fixed(score.value, places)), interval(score.low, score.high, places)], ""]
    ]
    for b in baselines:
        value = [exact(b.get("value"), fixed(b.get("value"), places)), interval(b.get("low"), b.get("high"), places)]
        gap = b.get("difference")
        ends = interval(b.get("difference_low"), b.get("difference_high"), finer, sign=True)
        difference = [exact(gap, fixed(gap, finer, sign=True)), ends]
        rows.append([called(b), value, [*difference, tag("span", reading(facts, b), class_="reading")]])
    caption = (
        f"{capital(score.words)}. The difference is this network − the baseline, and what it says of this network."
    )
    head = ["Model", capital(facts.metric_words), "Difference"]
    return table(caption, head, rows, strong=(0,))


def _others(facts: Facts) -> Markup | None:
    metrics = [m for m in facts.details.get("metrics") or [] if is_number(m.get("value"))]
    if not metrics:
        return None
    rows = []
    for m in metrics:
        places = decimals([m["value"]])
        spread = interval(m.get("low"), m.get("high"), places)
        rows.append([capital(metric_words(m["metric"])), exact(m["value"], fixed(m["value"], places)), spread])
    return table("The same predictions in all metrics.", ["Metric", "Value", "95 % interval"], rows)


def _tuning(facts: Facts) -> Markup | None:
    settings, notes = (facts.details.get(k) or {} for k in ("baseline_settings", "baseline_notes"))
    if not settings and not notes:
        return None
    found: list[tuple[str, Child]] = []
    for name in dict.fromkeys([*settings, *notes]):
        chosen = [f"{spaced(str(k))} {compact(v)}" for k, v in (settings.get(name) or {}).items() if v is not None]
        found.append(
            (called({"name": name}), [", ".join(chosen) or "nothing to tune", _small(str(notes.get(name) or ""))])
        )
    return unfold("How the baselines were tuned", pairs(found, class_="record"))
