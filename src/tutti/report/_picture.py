"""The picture of a run: its whole population on one card."""

from pathlib import Path

from tutti.report._chart_intervals import draw_dot, row_scale
from tutti.report._facts import Facts, Track, read_facts
from tutti.report._html import Markup, tag
from tutti.report._numbers import Number, count, fixed, is_number, seconds
from tutti.report._scale import Scale, spread
from tutti.report._section_scores import score_places, score_rows
from tutti.report._svg import Drawing, bounds, fit_text, thin
from tutti.report._words import capital, plural
from tutti.runs import write_atomic

WIDTH, HEIGHT = 860, 380
LEFT, RIGHT, TOP, BOTTOM = 58, 500, 114, 322  # the frame of the curves
SCORES = 560  # where the scores begin

STYLE = """
.card{fill:#fdfcf9;stroke:#e3e0d8}text{fill:#1c1d20;font:13px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
.title{font-size:19px;font-weight:650}.brand,.strong.name,.strong.value{fill:#b03a1c}.brand{font-weight:700}
.tick,.label,.about{fill:#5c6068;font-size:12px}.name.strong,.value.strong{font-weight:650}
.grid{stroke:#e3e0d8}.axis{stroke:#85827a}.mark{stroke:#b03a1c;stroke-dasharray:1 3}
.crowd{fill:none;stroke:#bdb8ab}.gone{fill:none;stroke:#d3cec2}.end{fill:#fdfcf9;stroke:#a39e92}
.curve{fill:none;stroke:#b03a1c;stroke-width:2.75;stroke-linejoin:round}
.span{stroke:#85827a;stroke-width:2;stroke-linecap:round}.span.strong{stroke:#b03a1c;stroke-width:3}
.span.beyond{fill:none}.dot{fill:#fdfcf9;stroke:#85827a;stroke-width:2}.dot.strong{fill:#b03a1c;stroke:#b03a1c}
@media(prefers-color-scheme:dark){.card{fill:#16171a;stroke:#303236}text{fill:#e9e6df}
.brand,.strong.name,.strong.value{fill:#ff9a70}.tick,.label,.about{fill:#a5a39c}
.grid{stroke:#2a2c30}.axis{stroke:#85827a}.mark{stroke:#ff9a70}
.crowd{stroke:#55575b}.gone{stroke:#3d3f43}.end{fill:#16171a;stroke:#75767a}
.curve,.span.strong{stroke:#ff9a70}.dot{fill:#16171a}.dot.strong{fill:#ff9a70;stroke:#ff9a70}}
""".strip()


def write_picture(run_folder: Path | str, output: Path | str) -> Path:
    """Writes a standalone SVG of a run: every setting's validation score over the steps, and the test score.

    Settings that were dropped or diverged end in a ring where they were left; the winner stands in
    front, with a dot at the step that was kept. At
    the right its score with the 95 % interval beside the baselines. The card brings its own ground and follows
    light and dark, so it reads on either. Same folder, same bytes. InputError as in `write_report`.
    """
    target = Path(output)
    write_atomic(target, (draw(read_facts(Path(run_folder))) + "\n").encode("utf8"))
    return target


def draw(facts: Facts) -> str:
    """The picture as SVG text."""
    title = f"{capital(facts.metric_words)} of every setting of the run {facts.name} over the steps"
    drawing = Drawing("picture", WIDTH, HEIGHT, title=title, description=_words(facts))
    drawing.parts.append(tag("style", Markup(STYLE)))
    drawing.box((0.5, 0.5), WIDTH - 1, HEIGHT - 1, "card", radius=8)
    _draw_head(drawing, facts)
    _draw_population(drawing, facts)
    _draw_scores(drawing, facts)
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
    return drawing.render().replace("<svg ", opening, 1)


def _words(facts: Facts) -> str:
    verdict = str(facts.result.get("verdict") or "")
    tracks = facts.tracks()
    gone = sum(t.left for t in tracks)
    return f"{plural(len(tracks), 'setting')}, {gone} of them left on the way. {verdict}".strip()


def _draw_head(drawing: Drawing, facts: Facts) -> None:
    members = (facts.result.get("members") or {}).get("trained")
    what = f"{plural(members, 'network')}, trained as one" if is_number(members) else "one population"
    drawing.text((28, 42), f"tutti fit {fit_text(facts.name, 200, 19)}", "title")
    settings, folds = len(facts.tracks()), (facts.details.get("splits") or {}).get("folds")
    about = [what, f"{plural(settings, 'setting')} × {plural(folds, 'fold')}" if is_number(folds) else None]
    about.append(f"{seconds(facts.result['seconds'])} in all" if is_number(facts.result.get("seconds")) else None)
    drawing.text((28, 64), "  ·  ".join(a for a in about if a), "about")


def _draw_population(drawing: Drawing, facts: Facts) -> None:
    tracks = [t for t in facts.tracks() if len(t.score) > 1]
    winner = next((t for t in tracks if t.winner), None)
    front = facts.curve("score") or (winner.score if winner else [])
    if len(front) < 2:
        drawing.text((LEFT, (TOP + BOTTOM) / 2), "This run recorded no curves.", "about")
        return
    crowd = [t for t in tracks if not t.winner]
    last = max(s for points in (front, *(t.score for t in crowd)) for s, _ in points)
    x = Scale(low=0, high=last, start=LEFT, end=RIGHT)
    y = _frame([v for _, v in front], [v for t in crowd for _, v in t.score])
    for tick in y.ticks(5):
        drawing.line((LEFT, y(tick)), (RIGHT, y(tick)), "grid")
        drawing.text((LEFT - 8, y(tick) + 4), fixed(tick, y.tick_places(5)), "tick", anchor="end")
    for tick in x.ticks(5):
        drawing.text((x(tick), BOTTOM + 18), fixed(tick, x.tick_places(5)), "tick", anchor="middle")
    drawing.line((LEFT, BOTTOM), (RIGHT, BOTTOM), "axis")
    drawing.text((28, TOP - 14), f"validation {facts.metric_words}", "label")
    drawing.text((RIGHT, BOTTOM + 38), "step", "label", anchor="end")
    frame = drawing.clip((LEFT, TOP), RIGHT - LEFT + 3, BOTTOM - TOP)
    for track in crowd:
        _draw_track(drawing, track, x, y, frame)
    drawing.path([(x(s), y(v)) for s, v in thin(front)], "curve", clip=frame)
    step, value = facts.kept(front)
    drawing.dot((x(step), y.clamp(value)), 4.5, "dot strong")


def _frame(front: list[Number], crowd: list[Number]) -> Scale:
    """All of the winner, and the middle three fifths of the others: losers begin far below."""
    low, high = bounds(crowd, 0.2) if crowd else (front[0], front[0])
    return spread([*front, low, high], start=BOTTOM, end=TOP, air=0.03)


def _draw_track(drawing: Drawing, track: Track, x: Scale, y: Scale, frame: str) -> None:
    drawing.path([(x(s), y(v)) for s, v in thin(track.score)], "gone" if track.left else "crowd", clip=frame)
    step, value = track.score[-1]
    if track.left and y.low <= value <= y.high:
        drawing.dot((x(step), y(value)), 2.5, "end")


def _draw_scores(drawing: Drawing, facts: Facts) -> None:
    score = facts.score
    if score is None:
        return
    rows = score_rows(facts, score)
    places = score_places(facts)
    x = row_scale(rows, start=SCORES, end=WIDTH - 84)
    drawing.text((SCORES, TOP - 14), fit_text(score.words, WIDTH - SCORES - 28, 12), "label")
    step = min(52, (BOTTOM - TOP) / len(rows))
    bottom = TOP + step * len(rows)
    for tick in x.ticks(4):
        drawing.line((x(tick), TOP), (x(tick), bottom), "grid")
        drawing.text((x(tick), bottom + 18), fixed(tick, x.tick_places(4)), "tick", anchor="middle")
    drawing.line((x(score.value), TOP), (x(score.value), bottom), "mark")
    for number, row in enumerate(rows):
        at, weight = TOP + step * (number + 0.68), "strong" if row.strong else "plain"
        drawing.text((SCORES, at - 12), fit_text(row.name, 220, 13), f"name {weight}")
        draw_dot(drawing, row, at, x)
        drawing.text((WIDTH - 28, at + 4), fixed(row.value, places), f"value {weight}", anchor="end")
    rows_said = f" · n = {count(score.rows)}" if is_number(score.rows) else ""
    drawing.text((SCORES, bottom + 38), f"95 % intervals{rows_said}", "label")
