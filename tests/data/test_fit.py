"""Preprocessing layers: statistics of the training rows alone, equal to scikit-learn's and to the formulas."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, RobustScaler, StandardScaler

from tutti import core, data, models, nn

SHAPE = core.TableShape(numbers=4, levels=(5, 9), missing=(1,))


def _table(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, 4)) * [1, 100, 1e-3, 5] + [0, 1e4, 0, -3]
    numbers[:, 3] = np.exp(numbers[:, 0])
    numbers[rng.random(rows) < 0.2, 1] = np.nan
    codes = np.stack([rng.integers(1, n, rows) for n in SHAPE.levels], 1)
    return numbers.astype(np.float32), codes


def _fitted(layer: torch.nn.Module, numbers: np.ndarray) -> torch.nn.Module:
    layer.load_state_dict(data.fit_front(layer, numbers, np.zeros((len(numbers), 0), np.int64)))
    return layer.double()


def _apply(layer: torch.nn.Module, numbers: np.ndarray) -> np.ndarray:
    return layer(torch.from_numpy(numbers).double()).numpy()


# catalogue: D6
@pytest.mark.parametrize(
    ("name", "peer"),
    [
        ("standard", StandardScaler()),
        ("minmax", MinMaxScaler()),
        ("symmetric", MinMaxScaler((-1, 1))),
    ],
)
def test_affine_scalings_equal_scikit_learn(name: str, peer: StandardScaler) -> None:
    numbers, _ = _table(500)
    ours = _apply(_fitted(nn.scaling(name, 4), numbers), numbers)
    theirs = peer.fit_transform(numbers.astype(np.float64))
    there = np.isfinite(numbers)
    np.testing.assert_allclose(ours[there], theirs[there], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(ours[~there], np.nanmean(theirs[:, 1]), atol=1e-4)


# catalogue: D6
def test_robust_scaling_is_realmlps() -> None:
    numbers, _ = _table(500)
    numbers[:, 2] = 0
    numbers[:10, 2] = 4  # the middle half is one value: half the range instead
    ours = _apply(_fitted(nn.scaling("robust", 4), numbers), numbers)
    scaled = RobustScaler().fit_transform(np.where(np.isnan(numbers), np.nanmedian(numbers, 0), numbers))
    expected = scaled / np.sqrt(1 + (scaled / 3) ** 2)
    np.testing.assert_allclose(ours[:, [0, 3]], expected[:, [0, 3]], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours[:10, 2], 2 / np.sqrt(1 + 4 / 9), rtol=1e-6)
    assert np.abs(_apply(_fitted(nn.scaling("robust", 4), numbers), numbers * 1e6)).max() <= 3


# catalogue: D6
def test_quantile_scaling_is_normal_and_near_scikit_learns() -> None:
    numbers, _ = _table(5000)
    layer = _fitted(nn.scaling("quantile", 4), numbers)
    ours = _apply(layer, numbers)
    peer = QuantileTransformer(output_distribution="normal", n_quantiles=256, subsample=None)
    theirs = peer.fit_transform(numbers.astype(np.float64))
    middle = np.isfinite(numbers) & (np.abs(theirs) < 2)
    np.testing.assert_allclose(ours[middle], theirs[middle], atol=0.02)
    there = np.isfinite(numbers)
    for j in range(4):
        assert ours[there[:, j], j].mean() == pytest.approx(0, abs=0.01)
        assert ours[there[:, j], j].std() == pytest.approx(1, abs=0.02)
    np.testing.assert_allclose(ours[~there], 0, atol=0.01)
    # a monotone map does not matter, and outside the training range the curve is flat
    inner = np.abs(ours[:, 0]) < 2
    np.testing.assert_allclose(ours[inner, 3], ours[inner, 0], atol=0.03)
    far = np.array([[1e9] * 4, [-1e9] * 4], np.float32)
    np.testing.assert_allclose(_apply(layer, far), [np.nanmax(ours, 0), np.nanmin(ours, 0)], rtol=1e-6)


def test_quantile_scaling_of_few_values_puts_each_at_its_mean_level() -> None:
    numbers = np.repeat([0.0, 1.0, 2.0], [50, 30, 20])[:, None].astype(np.float32)
    ours = np.unique(_apply(_fitted(nn.scaling("quantile", 1), numbers), numbers))
    from scipy.stats import norm

    np.testing.assert_allclose(ours, norm.ppf([0.25, 0.65, 0.9]), atol=0.04)


# catalogue: D6
def test_whitening_decorrelates_and_keeps_what_pca_keeps() -> None:
    rng = np.random.default_rng(0)
    numbers = (rng.normal(size=(400, 4)) @ rng.normal(size=(4, 4)) * [1, 10, 1e-2, 1] + 3).astype(np.float32)
    ours = _apply(_fitted(nn.scaling("whiten", 4), numbers), numbers)
    np.testing.assert_allclose(ours.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(ours.T @ ours / 400, np.eye(4), atol=1e-3)
    # all whitenings are rotations of each other: pairwise distances agree
    theirs = PCA(whiten=True).fit_transform(numbers.astype(np.float64)) * np.sqrt(400 / 399)
    np.testing.assert_allclose(
        np.linalg.norm(ours[1:] - ours[:-1], axis=1), np.linalg.norm(theirs[1:] - theirs[:-1], axis=1), rtol=1e-3
    )
    copied = np.concatenate([numbers, numbers[:, :1], np.ones((400, 1), np.float32)], 1)
    ours = _apply(_fitted(nn.scaling("whiten", 6), copied), copied)
    values = np.linalg.eigvalsh(ours.T @ ours / 400)
    np.testing.assert_allclose(values, [0, 0, 1, 1, 1, 1], atol=1e-2)


def test_piecewise_linear_encoding_is_the_papers() -> None:
    numbers, _ = _table(300)
    bins = 5
    layer = _fitted(nn.PiecewiseLinear(4, bins), numbers)
    ours = _apply(layer, numbers).reshape(300, 4, bins)
    for j in (0, 2, 3):
        x = numbers[:, j].astype(np.float64)
        edges = np.quantile(x, np.linspace(0, 1, bins + 1))
        for t in range(1, bins + 1):
            line = (x - edges[t - 1]) / (edges[t] - edges[t - 1])
            expected = np.where((x < edges[t - 1]) & (t > 1), 0, np.where((x >= edges[t]) & (t < bins), 1, line))
            np.testing.assert_allclose(ours[:, j, t - 1], expected, rtol=1e-4, atol=1e-4)
    # beyond the training rows the outer lines go on for one bin's width
    far = _apply(layer, np.array([[-1e9] * 4, [1e9] * 4], np.float32)).reshape(2, 4, bins)
    np.testing.assert_allclose(far[0], np.tile([-1, 0, 0, 0, 0], (4, 1)))
    np.testing.assert_allclose(far[1], np.tile([1, 1, 1, 1, 2], (4, 1)))


def test_piecewise_linear_encoding_pads_repeated_edges_with_zeros() -> None:
    numbers = np.repeat([0.0, 1.0, 5.0], [20, 20, 5])[:, None].astype(np.float32)
    ours = _apply(
        _fitted(nn.PiecewiseLinear(1, 6), numbers), np.array([[0.0], [0.5], [1.0], [3.0], [5.0]], np.float32)
    )
    np.testing.assert_allclose(ours[:, :2], [[0, 0], [0.5, 0], [1, 0], [1, 0.5], [1, 1]], atol=1e-6)
    assert not ours[:, 2:].any()


@pytest.mark.parametrize("name", [*nn.SCALINGS, "ple"])
def test_constant_empty_and_infinite_columns_stay_finite(name: str) -> None:
    numbers = np.ones((30, 4), np.float32)
    numbers[:, 1] = np.nan
    numbers[:, 2] = np.linspace(0, 1, 30)
    numbers[3, 2] = np.inf
    numbers[:, 3] = 1e30
    layer = _fitted(nn.PiecewiseLinear(4, 3) if name == "ple" else nn.scaling(name, 4), numbers)
    result = _apply(layer, np.concatenate([numbers, -numbers]))
    assert np.isfinite(result).all()
    if name != "none":
        features = result.reshape(60, 4, -1)
        assert not features[:30, [0, 1, 3]].any()
        assert features[:30, 2].any()


def test_front_marks_missing_values_and_unknown_codes() -> None:
    numbers, codes = _table(200)
    codes[:, 1] = np.where(codes[:, 1] == 4, 3, codes[:, 1])
    codes[:, 0] = np.where(codes[:, 0] == 1, 2, codes[:, 0])
    network = models.MLP(scaling="standard", onehot_up_to=5).build(SHAPE, 1)
    network.load_state_dict(data.fit_front(network, numbers, codes), strict=False)
    features, kept = network.front(torch.from_numpy(numbers), torch.from_numpy(codes))
    assert features.shape == (200, 4 + 1 + 4)
    np.testing.assert_array_equal(features[:, 4], np.isnan(numbers[:, 1]))
    np.testing.assert_array_equal(features[:, 5:], codes[:, :1] == [1, 2, 3, 4])
    np.testing.assert_array_equal(kept[:, 0], codes[:, 1])
    _, other = network.front(torch.zeros(3, 4), torch.tensor([[1, 4], [0, 8], [3, 0]]))
    np.testing.assert_array_equal(other[:, 0], [0, 8, 0])
    onehot, _ = network.front(torch.zeros(3, 4), torch.tensor([[1, 4], [0, 8], [3, 0]]))
    np.testing.assert_array_equal(onehot[:, 5:], [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]])


FRONTS: list[models.Model] = [
    *(models.MLP(scaling=name) for name in nn.SCALINGS),
    models.MLP(encoding="ple"),
    models.Linear(expansion="rbf", centres=30),
]


# catalogue: D6
@pytest.mark.parametrize("config", FRONTS, ids=repr)
def test_no_statistic_of_held_out_rows_leaks(config: models.Model) -> None:
    numbers, codes = _table(300)
    splits = [np.arange(300) % 3 != fold for fold in range(3)]
    network = config.build(SHAPE, 1)

    def fold_fits() -> list[dict[str, torch.Tensor]]:
        return [data.fit_front(network, numbers[train], codes[train]) for train in splits]

    before = fold_fits()
    numbers[~splits[0]] = 1e20
    codes[~splits[0]] = 4
    after = fold_fits()
    torch.testing.assert_close(
        after[0], before[0], rtol=0, atol=0, equal_nan=True
    )  # rows held out by fold 0: nothing moves
    for fold in (1, 2):  # which train on those rows: something does
        assert any(not torch.equal(after[fold][name], before[fold][name]) for name in before[fold])
    alone = data.fit_front(config.build(SHAPE, 1), *(part[splits[0]] for part in _table(300)))
    torch.testing.assert_close(before[0], alone, rtol=0, atol=0, equal_nan=True)
    for name in before[0]:
        assert len({(f[name].shape, f[name].dtype) for f in before}) == 1
        assert network.get_buffer(name).shape == before[0][name].shape


def test_quantiles_of_many_rows_come_from_a_fixed_sample() -> None:
    numbers = np.random.default_rng(0).normal(size=(150_000, 1)).astype(np.float32)
    codes = np.zeros((150_000, 0), np.int64)
    layer = nn.scaling("quantile", 1)
    one, two = data.fit_front(layer, numbers, codes), data.fit_front(layer, numbers, codes)
    torch.testing.assert_close(one, two, rtol=0, atol=0, equal_nan=True)
    layer.load_state_dict(one)
    x = torch.linspace(-2, 2, 9)[:, None]
    torch.testing.assert_close(layer(x), x, atol=0.03, rtol=0)
