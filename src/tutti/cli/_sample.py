"""`tutti sample`: text from a language model."""

from typing import Annotated

import typer


def sample(
    run: Annotated[str, typer.Argument(help="The folder of a run: tutti fit book.txt --generate.")],
    prompt: Annotated[
        str, typer.Option("--prompt", "-p", help="What the text begins with; by default a line end.")
    ] = "\n",
    tokens: Annotated[int, typer.Option("--tokens", "-n", help="How many tokens to add.")] = 500,
    temperature: Annotated[
        float, typer.Option("--temperature", help="Below 1: surer and duller. Above 1: bolder.")
    ] = 1.0,
    top_k: Annotated[
        int | None, typer.Option("--top-k", help="Draw from the K likeliest tokens.", show_default=False)
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(
            "--top-p", help="Draw from the likeliest tokens that have this probability together.", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the drawing: the same one gives the same text.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write text with a language model that was fitted by `tutti fit book.txt --generate`."""
    from tutti import learn
    from tutti.cli._json import print_json

    model = learn.load(run)
    text = model.generate(prompt, tokens=tokens, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
    if not as_json:
        typer.echo(text)
        return
    drawn = {"tokens": tokens, "temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
    print_json({"run": run, "prompt": prompt, **drawn, "text": text})
