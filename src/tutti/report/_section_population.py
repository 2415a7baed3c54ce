"""The population: every setting that was tried, how it learned, and whether the winner fits well."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tutti.report._chart_curves import Curve, Faint, curve_chart
from tutti.report._facts import Facts
from tutti.report._html import Child, Markup, join, tag
from tutti.report._numbers import Number, compact, count, decimals, exact, fixed, interval, is_number
from tutti.report._parts import Section, figure, figures, quiet, scroller, table, unfold
from tutti.report._words import capital, plural, spaced

RATE, DECAY = "learning_rate", "weight_decay"
MANY_SETTINGS = 200


def population(facts: Facts) -> Section:
    """The heat map learning rate × weight decay where there is one, and all settings in order."""
    settings = facts.details.get("settings") or []
    if not settings:
        return Section(key="population", title="The population")
    members = facts.result.get("members") or {}
    said = f"{plural(len(settings), 'setting')} of hyper-parameters"
    folds = (facts.details.get("splits") or {}).get("folds")
    each = "each " if len(settings) > 1 else ""
    if is_number(folds):
        said += f", {each}on {'one hold-out' if folds == 1 else plural(folds, 'fold')}"
    said += ", trained side by side." if len(settings) > 1 or folds != 1 else "."
    for word in ("dropped", "diverged"):
        number = sum(s.get("status") == word for s in settings)
        said += (
            f" {plural(number, 'setting was', 'settings were')} dropped on the way."
            if number and word == "dropped"
            else ""
        )
        said += f" {plural(number, 'setting')} diverged." if number and word == "diverged" else ""
    if is_number(members.get("trained")):
        said += f" {plural(members['trained'], 'network')} in all."
    board = _board(facts, settings)
    parts: list[Child] = list(_heat_maps(facts, settings))
    if parts:
        parts.append(unfold(f"All {len(settings)} settings, best first", board))
    else:
        parts.append(board if len(settings) <= 12 else unfold(f"All {len(settings)} settings, best first", board))
    return Section(key="population", title="The population", said=said, shown=parts)


def curves(facts: Facts) -> Section:
    """The winner's loss and score over the steps, all other settings faint behind."""
    loss, fitted, score = (facts.curve(name) for name in ("train_loss", "train_score", "score"))
    tracks = [t for t in facts.tracks() if not t.winner]
    charts = []
    if len(loss) > 1:
        front = [Curve(name="training", points=loss, class_="plain")]
        behind = [Faint(points=t.train_loss, left=t.left) for t in tracks if len(t.train_loss) > 1]
        charts.append(_curve_figure(facts, "loss-chart", front, behind, axis="training loss"))
    if len(score) > 1:
        front = [Curve(name="validation", points=score, class_="strong")]
        front += [Curve(name="training", points=fitted, class_="plain")] if len(fitted) > 1 else []
        behind = [Faint(points=t.score, left=t.left) for t in tracks if len(t.score) > 1]
        charts.append(_curve_figure(facts, "curve-chart", front, behind, axis=facts.metric_words))
    if not charts:
        return Section(key="curves", title="Learning curves")
    said = "The winning setting in front"
    said += "" if (facts.details.get("splits") or {}).get("folds") == 1 else ", means over its folds"
    said += f"; {plural(len(tracks), 'other setting')} faint behind it" if tracks else ""
    said += ". A ring marks where a setting was dropped or diverged." if any(t.left for t in tracks) else "."
    parts = [figures(*charts), _curve_table(facts)]
    return Section(key="curves", title="Learning curves", said=said, shown=parts)


def fit_quality(facts: Facts) -> Section:
    """Under, good or over, with the remedy."""
    quality = facts.result.get("fit_quality")
    if not quality:
        return Section(key="fit", title="Fit quality")
    them = f"{facts.noun}s"
    said = {
        "good": f"Good fit: it learned what the training {them} say, and holds on {them} that it never saw.",
        "under": f"Under-fitted: the training {them} themselves are not yet learned well.",
        "over": f"Over-fitted: it knows its training {them} much better than {them} that it never saw.",
    }
    parts: list[Child] = []
    fitted, score = facts.curve("train_score"), facts.curve("score")
    if fitted and score:
        (step, ours), (_, theirs) = facts.kept(fitted), facts.kept(score)
        places = decimals([ours, theirs])
        when = f"At step {count(step)}, the one that was kept" if facts.kept_step is not None else "At the end"
        words = f"{when}, {facts.metric_words} was "
        shown = [exact(ours, fixed(ours, places)), f" on training {them} and ", exact(theirs, fixed(theirs, places))]
        parts.append(tag("p", words, shown, f" on validation {them}."))
    reason = facts.details.get("fit_reason")
    parts.append(tag("p", str(reason)) if reason else None)
    remedy = facts.details.get("remedy")
    parts.append(tag("p", tag("strong", "Remedy: "), str(remedy)) if remedy else None)
    return Section(key="fit", title="Fit quality", said=said.get(str(quality), str(quality)), shown=parts)


def _heat_maps(facts: Facts, settings: Sequence[Mapping[str, Any]]) -> Iterator[Markup]:
    """A heat map for each optimizer of the population whose settings span rates and decays."""
    names = list(dict.fromkeys(s["setting"].get("optimizer", "") for s in settings))
    for name in names:
        own = [s for s in settings if s["setting"].get("optimizer", "") == name]
        rates, decays = (sorted({v for s in own if is_number(v := s["setting"].get(k))}) for k in (RATE, DECAY))
        if len(rates) > 1 and len(decays) > 1:
            yield _heat_map(facts, own, rates, decays, f", {name}" if len(names) > 1 else "")


def _heat_map(
    facts: Facts, settings: Sequence[Mapping[str, Any]], rates: list[Number], decays: list[Number], of: str
) -> Markup:
    """A table whose shade follows the score; in each cell the best setting with that rate and decay."""
    sign = 1 if facts.higher_is_better else -1
    cells: dict[tuple[Number, Number], Mapping[str, Any]] = {}
    for s in settings:
        key = (s["setting"].get(RATE), s["setting"].get(DECAY))
        rank = sign * s["score"] if is_number(s.get("score")) else float("-inf")
        if key not in cells or rank > cells[key]["rank"] or facts.is_best(s["setting"]):
            cells[key] = {**s, "rank": rank}
    ranks = sorted({c["rank"] for c in cells.values() if is_number(c["rank"])})
    places = decimals(c.get("score") for c in cells.values())
    head = [tag("th", "Learning rate", scope="col", class_="corner")]
    head += [tag("th", compact(d), scope="col", class_="number") for d in decays]
    body = []
    for rate in reversed(rates):
        row = [tag("th", compact(rate), scope="row", class_="number")]
        row += [_heat_cell(facts, cells.get((rate, decay)), ranks, places) for decay in decays]
        body.append(tag("tr", *row))
    over = tag("tr", tag("td"), tag("th", "Weight decay", scope="colgroup", colspan=len(decays)))
    shown = tag(
        "table",
        tag(
            "caption",
            f"Validation {facts.metric_words} by learning rate and weight decay{of}."
            " The stronger the shade, the better.",
        ),
        tag("thead", over, tag("tr", *head)),
        tag("tbody", *body),
        class_="heat",
    )
    return scroller(shown)


def _heat_cell(facts: Facts, cell: Mapping[str, Any] | None, ranks: list[Number], places: int) -> Markup:
    """The value, and a word where the setting won, was dropped or diverged: nothing is said by colour alone."""
    if cell is None:
        return tag("td", tag("span", "not tried", class_="small"), class_="number")
    best, status = facts.is_best(cell["setting"]), str(cell.get("status") or "")
    word = "best" if best else status if status in ("dropped", "diverged") else ""
    shade = round(9 * ranks.index(cell["rank"]) / max(len(ranks) - 1, 1)) if cell["rank"] in ranks else 0
    value = exact(cell.get("score"), fixed(cell.get("score"), places))
    classes = (
        f"number shade-{shade}" + (" winner" if best else "") + (" gone" if word in ("dropped", "diverged") else "")
    )
    return tag("td", value, tag("span", word, class_="small") if word else None, class_=classes)


def _board(facts: Facts, settings: Sequence[Mapping[str, Any]]) -> Markup:
    """All settings, best first; only hyper-parameters that differ get a column."""
    sign = -1 if facts.higher_is_better else 1
    names = list(dict.fromkeys(k for s in settings for k in s["setting"]))
    varied = [k for k in names if len({repr(s["setting"].get(k)) for s in settings}) > 1] or names[:1]
    ordered = sorted(settings, key=lambda s: sign * s["score"] if is_number(s.get("score")) else float("inf"))
    ordered = sorted(ordered, key=lambda s: not facts.is_best(s["setting"]))
    shown = ordered[:MANY_SETTINGS]
    places = decimals(s.get("score") for s in settings)
    rows: list[list[Child]] = []
    for number, s in enumerate(shown, 1):
        value = exact(s.get("score"), fixed(s.get("score"), places))
        ends = interval(s.get("low"), s.get("high"), places)
        status = "best" if facts.is_best(s["setting"]) else str(s.get("status") or "")
        row: list[Child] = [count(number), *(compact(s["setting"].get(k)) for k in varied)]
        rows.append([*row, [value, ends], status, count(s.get("steps"))])
    head = ["Place", *(capital(spaced(k)) for k in varied), f"Validation {facts.metric_words}", "Status", "Steps"]
    same = [f"{spaced(k)} {compact(settings[0]['setting'].get(k))}" for k in names if k not in varied]
    caption = "Settings, best first." + (f" The same for all: {', '.join(same)}." if same else "")
    strong = [i for i, s in enumerate(shown) if facts.is_best(s["setting"])]
    made = table(caption, head, rows, words=(len(varied) + 2,), strong=strong)
    if len(ordered) > len(shown):
        return join([made, quiet(f"{plural(len(ordered) - len(shown), 'more setting')} below these.")])
    return made


def _curve_figure(facts: Facts, key: str, front: list[Curve], behind: Sequence[Faint], *, axis: str) -> Markup:
    ways = []
    for curve in front:
        (first, start), (last, end) = curve.points[0], curve.points[-1]
        places = decimals([start, end])
        way = f"{curve.name} from {fixed(start, places)} at step {count(first)}"
        ways.append(f"{way} to {fixed(end, places)} at step {count(last)}")
    words = {"strong": "solid", "plain": "dashed"}
    chart = curve_chart(
        key,
        front,
        behind,
        title=f"{capital(axis)} over the steps",
        description=f"{capital('; '.join(ways))}.",
        axis=axis,
        kept=facts.kept_step,
    )
    lines = ", ".join(f"{c.name} ({words[c.class_]} line)" for c in front)
    kept = f" The dotted line marks the step that was kept, {count(facts.kept_step)}." if facts.kept_step else ""
    return figure(chart, f"{capital(axis)} over the steps: {lines}.{kept}")


def _curve_table(facts: Facts) -> Markup | None:
    """The curves in numbers, at a dozen steps."""
    names = [n for n in ("train_loss", "train_score", "score") if facts.curve(n)]
    values = {n: dict(facts.curve(n)) for n in names}
    steps = sorted({s for n in names for s in values[n]})
    stride = max(1, -(-len(steps) // 12))
    chosen = steps[::stride] if (len(steps) - 1) % stride == 0 else [*steps[::stride], steps[-1]]
    places = {n: decimals(values[n].values()) for n in names}
    rows: list[list[Child]] = []
    for step in chosen:
        found = [values[n].get(step) for n in names]
        cells = [exact(v, fixed(v, places[n])) for n, v in zip(names, found, strict=True)]
        rows.append([count(step), *cells])
    words = {"train_loss": "Training loss", "train_score": f"Training {facts.metric_words}"}
    head = ["Step", *(words.get(n, f"Validation {facts.metric_words}") for n in names)]
    return unfold("The curves in numbers", table("The winning setting over the steps.", head, rows, words=()))
