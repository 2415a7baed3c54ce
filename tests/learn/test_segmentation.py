"""Segmentation through fit: from images and masks to a judged run, on small pictures of discs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

import tutti
from tutti.core import InputError
from tutti.learn import rerun
from tutti.learn._written_masks import masks_as_file
from tutti.metrics import METRICS

TINY = {"name": "unet", "depth": 1, "width": 8}


def discs(count: int = 24, side: int = 16, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rings on noise, and as their mask the whole disc inside: no pixel tells it from its nearest ones."""
    rng = np.random.default_rng(seed)
    down, across = np.mgrid[:side, :side]
    images, masks = [], []
    for _ in range(count):
        centre, radius = rng.uniform(4, side - 4, 2), rng.uniform(3, 4)
        distance = np.hypot(down - centre[0], across - centre[1])
        ring = np.abs(distance - radius) < 0.8
        images.append((rng.normal(90, 8, (side, side)) + 80 * ring).clip(0, 255))
        masks.append(255 * (distance < radius))
    return np.stack(images).astype(np.uint8), np.stack(masks).astype(np.uint8)


def options(**more: object) -> dict[str, object]:
    plain = {"model": TINY, "learning_rates": [1e-2], "weight_decays": [0.0], "epochs": 25, "batch_size": 4}
    return plain | {"folds": 2, "rungs": False, "executor": "stacked", "baselines": False} | more


# catalogue: T6
def test_masks_are_learnt_judged_and_given_back(tmp_path: Path) -> None:
    images, masks = discs()
    model = tutti.fit((images, masks), out=tmp_path / "run", **options())
    result = model.result
    assert result["task"] == "segmentation"
    assert result["best"]["cv"]["metric"] == "iou"
    assert result["test"]["unit"] == "row"
    assert result["test"]["low"] < result["test"]["value"] < result["test"]["high"]
    assert result["test"]["value"] > 0.7
    details = result["details"]
    assert [m["metric"] for m in details["metrics"]] == ["iou", "dice", "pixel_accuracy", "pixel_error", "log_loss"]
    assert sum(map(sum, details["confusion"])) == result["test"]["n"] * 16 * 16
    assert details["class_counts"] == {"0": int((masks == 0).sum()), "255": int((masks == 255).sum())}

    new, truth = discs(12, seed=1)
    said = model.predict(new)
    assert said.shape == truth.shape
    assert set(np.unique(said)) <= {0, 255}
    assert (said == truth).mean() > 0.93
    order = np.random.default_rng(0).permutation(12)
    np.testing.assert_array_equal(model.predict(new[order]), said[order])
    again = tutti.load(tmp_path / "run")
    np.testing.assert_array_equal(again.predict(new), said)

    assert again.write_predictions(new, tmp_path / "masks.tif") == 12
    with Image.open(tmp_path / "masks.tif") as stack:
        np.testing.assert_array_equal([np.asarray(page) for page in ImageSequence.Iterator(stack)], said)
    again.write_predictions(new, tmp_path / "masks.npz")
    with np.load(tmp_path / "masks.npz") as arrays:
        np.testing.assert_array_equal(arrays["prediction"], said)
        np.testing.assert_allclose(arrays["probability"], again.predict_raw(new), atol=1e-3)
    with pytest.raises(InputError, match=r"masks; masks\.csv would hold lines.*masks\.tif"):
        again.write_predictions(new, tmp_path / "masks.csv")


def test_where_all_views_do_not_fit_into_the_time_one_is_predicted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """16 images to predict at 2 s each in their eight symmetries would take 32 of 12 s."""
    images, masks = discs(16)
    told = options(epochs=3, folds=1, budget=12)
    slow = tutti.fit((images, masks), out=tmp_path / "slow", **told)
    assert not slow.predictor.quick
    monkeypatch.setattr("tutti.learn._bench.Bench._time", lambda *_: (1e-4, 1e-3, 2.0))
    model = tutti.fit((images, masks), out=tmp_path / "run", **told)
    assert any("predictions from one view of each row" in f["message"] for f in model.result["findings"])
    network = model.module_
    plain = torch.from_numpy(images[:, None])
    assert not any(getattr(part, "predicting", False) for part in network.modules())
    with torch.no_grad():
        one = torch.sigmoid(network(plain)).numpy()[:, 0]
    np.testing.assert_allclose(tutti.load(tmp_path / "run").predict_raw(images)[:, 1], one, atol=1e-5)
    again, compared = rerun(tmp_path / "run", source=(images, masks), out=tmp_path / "again")
    assert compared["identical"] is True
    assert again.predictor.quick


def test_masks_in_colours_are_written_in_colours(tmp_path: Path) -> None:
    masks = np.array([[[0xFF0000, 0x0102FF]]], dtype=np.int32)
    (tmp_path / "a.tif").write_bytes(masks_as_file(Path("a.tif"), masks, np.zeros((1, 2, 1, 2), np.float32)))
    with Image.open(tmp_path / "a.tif") as page:
        assert np.asarray(page).tolist() == [[[255, 0, 0], [1, 2, 255]]]


def test_baselines_on_pixels_get_the_same_folds(tmp_path: Path) -> None:
    images, masks = discs(14, side=12)
    fitted = tutti.fit((images, masks), out=tmp_path / "run", **options(epochs=1, baselines=True, budget=12))
    result = fitted.result
    assert [b["name"] for b in result["baselines"]] == ["trivial", "linear on pixels", "forest on pixels"]
    assert result["baselines"][0]["value"] == 0  # background everywhere
    assert all(b["value"] > 0.3 for b in result["baselines"][1:])
    assert "on pixels" in result["verdict"]


def test_the_same_seed_gives_the_same_run(tmp_path: Path) -> None:
    images, masks = discs(16)
    runs = [tutti.fit((images, masks), out=tmp_path / str(i), **options(epochs=3)) for i in range(2)]
    np.testing.assert_array_equal(runs[0].predict(images), runs[1].predict(images))
    assert runs[0].result["test"] == runs[1].result["test"]


@pytest.mark.parametrize("metric", ["dice", "pixel_error", "log_loss"])
def test_any_metric_may_choose(metric: str, tmp_path: Path) -> None:
    images, masks = discs(16)
    found = tutti.fit((images, masks), out=tmp_path / "run", **options(epochs=3, metric=metric, folds=1))
    assert found.result["test"]["metric"] == metric
    least, most = METRICS[metric].bounds
    assert least <= found.result["test"]["value"] <= most


def test_several_classes_and_pixels_without_a_label(tmp_path: Path) -> None:
    images, masks = discs()
    classes = np.where(masks == 255, 2, np.where(images > 140, 1, 0)).astype(np.uint8)
    classes[:, :2] = 255
    model = tutti.fit((images, classes), out=tmp_path / "run", **options(epochs=10))
    assert model.result["details"]["classes"] == ["0", "1", "2"]
    assert sum(model.result["details"]["class_counts"].values()) == classes[:, 2:].size
    assert set(np.unique(model.predict(images))) <= {0, 1, 2}


def test_a_network_for_whole_images_is_refused(tmp_path: Path) -> None:
    images, masks = discs(16)
    with pytest.raises(InputError, match="pixel"):
        tutti.fit((images, masks), out=tmp_path / "run", **options(model="resnet"))
