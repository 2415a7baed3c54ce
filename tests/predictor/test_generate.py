"""Generation: how tokens are drawn, windows that slide, and what is remembered."""

from itertools import islice

import numpy as np
import pytest
import torch

from tutti.core import InputError, LanguageShape
from tutti.models import GPT, LanguageLSTM, LanguageNetwork
from tutti.predictor import Sampling, generate

LENGTH = 8
LOGITS = torch.tensor([0.1, 2.0, 1.0, -1.0, 2.0])


def networks(model: GPT | LanguageLSTM, count: int = 2) -> list[LanguageNetwork]:
    found = []
    for seed in range(count):
        torch.manual_seed(seed)
        network = model.build(LanguageShape(tokens=9, length=LENGTH), LENGTH)
        with torch.no_grad():
            for p in network.parameters():
                p.add_(0.5 * torch.randn_like(p))
        found.append(network.double())
    return found


MODELS = [GPT(width=16, heads=2, layers=2), LanguageLSTM(width=16, hidden=16)]


def test_temperature_is_the_power_of_the_probabilities() -> None:
    p = LOGITS.double().softmax(0)
    for t in (0.3, 1.0, 4.0):
        expected = p ** (1 / t) / (p ** (1 / t)).sum()
        torch.testing.assert_close(Sampling(temperature=t).of(LOGITS), expected)


def test_top_k_keeps_the_likeliest_and_their_ratios() -> None:
    p = LOGITS.double().softmax(0)
    found = Sampling(top_k=3).of(LOGITS)
    keep = torch.tensor([False, True, True, False, True])
    torch.testing.assert_close(found, torch.where(keep, p, 0) / p[keep].sum())
    one = Sampling(top_k=1).of(LOGITS)  # of equal ones the first
    assert one.tolist() == [0, 1, 0, 0, 0]
    torch.testing.assert_close(Sampling(top_k=99).of(LOGITS), p)


@pytest.mark.parametrize("top_p", [1e-9, 0.3, 0.5, 0.75, 0.9, 0.999, 1.0])
def test_top_p_keeps_the_fewest_that_reach_it(top_p: float) -> None:
    p = LOGITS.double().softmax(0)
    order = sorted(range(5), key=lambda i: (-float(p[i]), i))
    kept: list[int] = []
    while sum(float(p[i]) for i in kept) < top_p and len(kept) < 5:
        kept.append(order[len(kept)])
    found = Sampling(top_p=top_p).of(LOGITS)
    assert sorted(np.flatnonzero(found.numpy()).tolist()) == sorted(kept)
    torch.testing.assert_close(found[kept], p[kept] / p[kept].sum())


@pytest.mark.parametrize("model", MODELS, ids=["gpt", "lstm"])
def test_what_is_remembered_gives_the_same_text_as_reading_anew(model: GPT | LanguageLSTM) -> None:
    pair, prompt = networks(model), torch.tensor([3, 4, 5])
    texts = []
    for remember in (True, False):
        drawn = generate(pair, prompt, length=LENGTH, sampling=Sampling(), seed=4, remember=remember)
        texts.append(list(islice(drawn, 60)))
    assert texts[0] == texts[1]
    assert min(texts[0]) >= 2  # neither "nothing" nor "unknown"
    assert len(set(texts[0])) > 3


@pytest.mark.parametrize("model", MODELS, ids=["gpt", "lstm"])
def test_tokens_come_as_often_as_the_mean_probability_says(model: GPT | LanguageLSTM) -> None:
    pair, prompt = networks(model), torch.tensor([3, 4, 5])
    with torch.no_grad():
        p = torch.stack([n.eval().logits(prompt[None])[0, -1].softmax(0) for n in pair]).mean(0)
    p[:2] = 0
    p = (p / p.sum()).numpy()
    first = [next(generate(pair, prompt, length=LENGTH, sampling=Sampling(), seed=s)) for s in range(400)]
    seen = np.bincount(first, minlength=9) / 400
    assert np.abs(seen - p).max() < 4 * np.sqrt(0.25 / 400)


def test_the_same_seed_gives_the_same_text_and_another_another() -> None:
    pair, prompt = networks(MODELS[0]), torch.tensor([3])
    texts = [list(islice(generate(pair, prompt, length=LENGTH, sampling=Sampling(), seed=s), 30)) for s in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_a_prompt_longer_than_the_window_counts_by_its_end() -> None:
    pair = networks(MODELS[0])
    long = torch.tensor([5, 6, 7, *[2, 3] * (LENGTH // 2)])
    both = [list(islice(generate(pair, p, length=LENGTH, sampling=Sampling()), 20)) for p in (long, long[3:])]
    assert both[0] == both[1]


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": 0.0}, {"temperature": -1.0}, {"temperature": float("nan")}, {"top_k": 0}, {"top_p": 0.0},
     {"top_p": 1.1}],
)  # fmt: skip
def test_impossible_sampling_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError):
        Sampling(**wrong)  # type: ignore[arg-type]
