"""Text from a fitted language model."""

from itertools import islice

import torch

from tutti.core import InputError, LanguageShape, Schema
from tutti.data import Tokeniser, tokeniser_from_json
from tutti.models import MODELS, LanguageNetwork
from tutti.predictor import Predictor, Sampling, generate

UNKNOWN = 1  # the token for what a vocabulary lacks
MOST_NAMED = 5


def text_of(
    predictor: Predictor,
    schema: Schema,
    prompt: str,
    *,
    tokens: int,
    sampling: Sampling,
    seed: int,
) -> str:
    """The prompt and so many tokens behind it; see `Model.generate`."""
    shape = predictor.shape
    if not isinstance(shape, LanguageShape) or schema.sample is None:
        raise InputError(
            f"This model was fitted on {shape.kind}: it generates no text.",
            fix="Fit one that does: tutti fit book.txt --generate",
        )
    networks = [network for network in predictor.networks if isinstance(network, LanguageNetwork)]
    if not networks:
        raise InputError(
            "A network of your own generates no text.", fix=f"Fit a model of ours: {', '.join(MODELS[shape.kind])}."
        )
    if tokens < 1:
        raise InputError(f"{tokens} tokens were asked for; expected at least 1.")
    tokeniser = tokeniser_from_json(schema.sample["tokeniser"])
    given = _tokens(tokeniser, prompt)
    drawn = generate(networks, given, length=shape.length, sampling=sampling, seed=seed)
    after = list(islice(drawn, tokens))
    if tokeniser.unit in ("character", "bpe"):
        return prompt + tokeniser.decode(after)
    return tokeniser.decode([*given.tolist(), *after])


def _tokens(tokeniser: Tokeniser, prompt: str) -> torch.Tensor:
    """The prompt as tokens; InputError for one that is empty or holds what the model has never seen."""
    if not prompt:
        raise InputError("The prompt is empty.", fix='Give at least one character, such as a line end: "\\n".')
    found = tokeniser.encode([prompt]).values
    if not len(found):
        raise InputError("The prompt holds no token.", fix="Give at least one word.")
    if (found == UNKNOWN).any():
        parts = prompt if tokeniser.unit == "character" else prompt.split()
        odd = list(dict.fromkeys(p for p in parts if (tokeniser.encode([p]).values == UNKNOWN).any()))
        named = ", ".join(map(repr, odd[:MOST_NAMED])) + (" and others" if len(odd) > MOST_NAMED else "")
        raise InputError(
            f"The model has never seen {named} of the prompt: the text that it was trained on does not hold it.",
            fix="Leave it out, or train with --unit bpe, which reads any text.",
        )
    return torch.from_numpy(found.astype("int64"))
