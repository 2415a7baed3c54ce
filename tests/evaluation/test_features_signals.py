"""MiniROCKET against a slow transcription of the paper; ridge against scikit-learn; statistics against NumPy."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge as TheirRidge
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from tutti import data
from tutti.core import Fold, Splits
from tutti.evaluation import inputs_for
from tutti.evaluation._features_signals import Nearest, Rocket, statistics
from tutti.evaluation._minirocket import TRIPLES, MiniRocket
from tutti.evaluation._problem import Problem
from tutti.evaluation._ridge import Ridge
from tutti.metrics import metric_of


def problem_of(target: np.ndarray, train: np.ndarray, test: np.ndarray, kind: str = "multiclass") -> Problem:
    rows = len(target)
    fold = Fold(train=train[::2], validation=train[1::2])
    splits = Splits(kind="random", rows=rows, test=test, folds=(fold,), unit="row", units=np.arange(rows))
    return Problem(
        numbers=np.zeros((rows, 0), np.float32),
        codes=np.zeros((rows, 0), np.int32),
        target=target,
        kind=kind,  # type: ignore[arg-type]
        outputs=1 if kind == "regression" else int(target.max()) + 1,
        splits=splits,
        metric=metric_of("rmse" if kind == "regression" else "accuracy"),
        weights=None,
        seed=0,
    )


def slow(rocket: MiniRocket, x: np.ndarray) -> list[float]:
    """The features of one signal [channel, time] from the definition: nine weights, two of them 2, the others −1."""
    found, n = [], x.shape[1]
    for number, dilation in enumerate(rocket.dilations):
        for kernel, triple in enumerate(TRIPLES):
            weights = [2 if j in triple else -1 for j in range(9)]
            signal = x[rocket.channels[number][kernel]].sum(0)
            output = []
            for t in range(n):
                taps = [t + (j - 4) * dilation for j in range(9)]
                if (number + kernel) % 2 and (taps[0] < 0 or taps[-1] >= n):
                    continue
                output.append(sum(w * signal[i] for w, i in zip(weights, taps, strict=True) if 0 <= i < n))
            biases = rocket.biases[number][kernel].tolist()
            found += [sum(value > bias for value in output) / max(1, len(output)) for bias in biases]
    return found


@pytest.mark.parametrize("channels", [1, 3])
def test_minirocket_is_the_papers_definition_padded_or_not(channels: int) -> None:
    rng = np.random.default_rng(0)
    lengths = [23, 30, 12, 30]
    x = torch.zeros(4, channels, 30)
    for row, n in enumerate(lengths):
        x[row, :, :n] = torch.from_numpy(rng.integers(-9, 9, (channels, n)))  # whole numbers: sums are exact
    rocket = MiniRocket.fit(x, torch.tensor(lengths), features=84 * 5)
    found = rocket.features(x, torch.tensor(lengths))
    assert found.shape == (4, 84 * 5)
    for row, n in enumerate(lengths):
        np.testing.assert_allclose(found[row], slow(rocket, x[row, :, :n].numpy()), atol=1e-6)
    alone = rocket.features(x[1::2], torch.tensor([30, 30]))
    np.testing.assert_allclose(alone, found[1::2], atol=1e-6)


def test_the_dilations_and_numbers_of_features_are_the_papers() -> None:
    x = torch.randn(2, 1, 150)
    rocket = MiniRocket.fit(x, torch.tensor([150, 150]))
    assert sum(84 * c for c in rocket.counts) == 9996
    assert rocket.dilations == tuple(sorted({int(2**e) for e in np.linspace(0, np.log2(149 / 8), 32)}))
    assert all(b.isfinite().all() for b in rocket.biases)


# catalogue: E11
def test_minirocket_on_real_signals_has_the_published_accuracy(shared_data: Path) -> None:
    """GunPoint: 0.99 in the paper's table of results, 1-NN 0.913 in the archive's."""
    folder = shared_data / "series" / "ucr"
    train = data.read(folder / "GunPoint_TRAIN.ts")
    test = data.encode(train.schema, folder / "GunPoint_TEST.ts", target=True)
    assert train.sample is not None
    assert train.target is not None
    assert test.target is not None
    both = train.sample.joined(test.sample)
    target = np.concatenate([train.target, test.target]).astype(float).astype(np.int64) - 1
    x, lengths = both.inputs()
    fitted, judged = np.arange(50), np.arange(50, 200)
    problem = problem_of(target, fitted, judged)
    answers = Rocket(x, lengths, problem).begin({"alpha": 10.0}, fitted).predict(judged)
    assert (answers.argmax(1) == target[judged]).mean() > 0.98
    np.testing.assert_allclose(answers.sum(1), 1)
    nearest = Nearest(x, lengths, problem).begin({"neighbours": 1}, fitted).predict(judged)
    assert (nearest.argmax(1) == target[judged]).mean() == pytest.approx(0.9133, abs=1e-3)


@pytest.mark.parametrize("shape", [(30, 8), (12, 40)])
def test_ridge_is_scikit_learns_and_its_left_out_scores_are_true(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape).astype(np.float32)
    x = (x - x.mean(0)) / x.std(0)
    y = rng.normal(size=(shape[0], 1))
    rows = np.arange(shape[0])
    model = Ridge.prepare(x, problem_of(y, rows, rows[:0], "regression"), rows).solve(3.0)
    theirs = TheirRidge(alpha=3.0).fit(x, y)
    np.testing.assert_allclose(model(x[:5])[:, 0], theirs.predict(x[:5]).ravel(), rtol=1e-3, atol=1e-4)
    target = np.arange(shape[0]) % 2
    ridge = Ridge.prepare(x, problem_of(target, rows, rows[:0], "binary"), rows)
    assert ridge.classes is not None
    answers = ridge.solve(3.0)(x)
    signed = TheirRidge(alpha=3.0).fit(x, 2.0 * target - 1)
    assert ((answers[:, 1] > 0.5) == (signed.predict(x) > 0)).all()
    left_out = cross_val_predict(TheirRidge(alpha=3.0), x, 2.0 * target - 1, cv=LeaveOneOut())
    assert np.corrcoef(left_out, signed.predict(x))[0, 1] < 1


def test_statistics_are_numpys_whatever_the_padding() -> None:
    rng = np.random.default_rng(0)
    signal = rng.normal(2, 3, 40)
    x = torch.full((2, 1, 60), torch.nan, dtype=torch.float64)
    x[0, 0, :40] = torch.from_numpy(signal)
    x[1] = 1.0
    found = statistics(x.nan_to_num(99).float(), torch.tensor([40, 60]))[0]
    quartiles = np.quantile(signal, [0, 0.25, 0.5, 0.75, 1])
    slope = np.polyfit(np.arange(40), signal, 1)[0]
    expected = [signal.mean(), signal.std(), *quartiles, slope, np.abs(np.diff(signal)).sum() / 40]
    np.testing.assert_allclose(found[: len(expected)], expected, rtol=1e-4)
    assert found[12] == pytest.approx(signal.argmax() / 40)
    assert found[13] == pytest.approx(signal.argmin() / 40)
    assert found[14:22].sum() == pytest.approx(1, abs=0.05)
    assert found[-1] == 40
    assert np.isfinite(statistics(x[1:].float(), torch.tensor([60]))).all()


def test_sound_is_compared_by_its_spectrogram_and_everything_is_judged() -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(12, 1, 900)) * 1e3).astype(np.int16)
    table = data.read((x, list("ab" * 6)), reading=data.Reading(data="signals", rate=8000.0))
    splits, _ = data.declare_splits(12, test_size=0.2, folds=2)
    inputs = inputs_for(table, splits)
    assert inputs.numbers.shape == (12, 40 * 5 + 1)
    problem = problem_of(np.arange(12) % 2, splits.train, splits.test, "binary")
    names = []
    for make in inputs.learners:
        learner = make(problem)
        names.append(learner.name)
        if learner.most == 1:
            answers = learner.begin(learner.start, splits.train).predict(splits.test)
            assert answers.shape == (len(splits.test), 2)
            assert np.isfinite(answers).all()
    assert names == ["MiniROCKET", "nearest neighbour", "boosted trees on statistics"]
