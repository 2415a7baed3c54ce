"""`tutti inspect`: the loss around a network's weights, and its computation graph."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tutti.learn import Inspection


def inspect(
    run: Annotated[str, typer.Argument(help="The folder of a run.")],
    graph: Annotated[
        str | None, typer.Option("--graph", help="Draw the computation graph into this SVG file.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the vector that Lanczos starts from.")] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print everything, the graph too, as one JSON object.")
    ] = False,
) -> None:
    """Look into a network: curvature, largest stable step, gradient noise by batch size, computation graph."""
    from tutti import learn
    from tutti.cli._json import print_json
    from tutti.inspection import draw_graph

    found = learn.inspect(run, seed=seed)
    if graph is not None:
        Path(graph).write_text(draw_graph(found.graph), encoding="utf8")
    if as_json:
        print_json({"run": run, "drawn": graph, **found.to_json()})
        return
    for line in _lines(found):
        typer.echo(line)
    if graph is not None:
        typer.echo(f"Graph: {graph}")


def _lines(found: "Inspection") -> list[str]:
    bent = found.curvature
    ends = ", ".join(f"{value:.3g}" for value in bent.largest)
    lines = [
        f"On {found.rows:,} training rows, without weight decay:",
        f"Largest curvatures: {ends} (relative residual {bent.residual:.1e})",
        f"Smallest: {bent.smallest[0]:.3g}{' (a direction that still goes down)' if bent.smallest[0] < 0 else ''}",
        f"Plain gradient descent is stable below a rate of {bent.largest_stable_step:.3g}; "
        f"it was trained with a peak of {found.rate:g}",
        f"Squared length of the whole gradient: {found.gradient:.3g}",
    ]
    for size, variance in found.noise.items():
        share = variance / found.gradient if found.gradient > 0 else float("inf")
        lines.append(f"  batch {size}: gradient variance {variance:.3g}, {share:.3g} of that")
    weights = [n for n in found.graph.nodes if n.kind == "parameter" and n.gradient is not None]
    largest = max(weights, key=lambda n: n.gradient or 0.0)
    return [*lines, f"Computation graph: {len(found.graph.nodes)} nodes; the largest gradient is of {largest.name}"]
