"""What the user's hyper-parameters become: the base of the grid, and of what is tried against it."""

from typing import Any

import numpy as np
import pytest
from torch import nn as torch_nn

from tutti.core import ImageShape, InputError, Observer, Setting
from tutti.learn._bases import refuse_unused, with_bases
from tutti.learn._declare import declare
from tutti.learn._options import Options
from tutti.learn._recipes import recipe_for
from tutti.learn._train import Training
from tutti.models import MLP, MODELS
from tutti.tasks import Multiclass, Regression, Task

DIGITS = Multiclass(names=("digit",), classes=tuple("0123456789"), meaning="integer")
SHAPE = ImageShape(channels=1, height=28, width=28)


def test_what_is_given_holds_for_every_base_also_as_zero() -> None:
    recipe = recipe_for(SHAPE, 60_000, DIGITS)
    mixed = with_bases(recipe, None, {"mixup": 0.5}, own=True)
    assert [base.mixup for base in (mixed.base, *mixed.others)] == [0.5] * (1 + len(recipe.others))
    still = with_bases(recipe, None, {"augment": 0.0, "flip": 0.0}, own=True)
    assert still.others == ()  # they are all the base
    assert still.base.augment == 0.0


def test_a_named_model_keeps_its_own_hyper_parameters_under_those_given() -> None:
    recipe = recipe_for(SHAPE, 60_000, DIGITS)
    small = MODELS["images"]["smallcnn"]()
    own: Setting = small.setting  # type: ignore[attr-defined]
    assert with_bases(recipe, small, None, own=False).base == own
    assert with_bases(recipe, small, {"dropout": 0.2}, own=False).base.dropout == 0.2
    assert with_bases(recipe, small, {"dropout": 0.2}, own=False).base.augment == own.augment


def _training(**told: Any) -> Training:
    pixels = np.random.default_rng(0).integers(0, 255, (60, 28, 28)).astype(np.uint8)
    options = Options.of({**told, "baselines": False})
    return Training(declare((pixels, np.arange(60) % 3), options, Observer()), options)


@pytest.mark.parametrize("option", ["augment", "flip", "mixup"])
def test_augmentation_that_is_given_switches_its_layers_on(option: str) -> None:
    """lenet and smallcnn go without, as in their papers, unless it is asked for."""
    for name in ("lenet", "smallcnn"):
        assert _training(model=name).network.config.augmented is False
        training = _training(model=name, setting={option: 0.4})
        assert training.network.config.augmented is True
        assert getattr(training.recipe.base, option) == 0.4


def test_the_recipes_augmentation_is_not_claimed_for_a_network_without_its_layers() -> None:
    for model, base in (("lenet", Setting(weight_decay=0.05)), ("smallcnn", Setting(dropout=0.5))):
        recipe = _training(model=model).recipe
        assert recipe.base == base
        assert all(other.augment == other.flip == 0 for other in recipe.others)
    lenet = _training(model={"name": "lenet", "augmented": True}).recipe
    assert [base.augment for base in (lenet.base, *lenet.others)] == [0.4, 0.0, 0.4]
    assert _training().recipe.base.augment == 0.4


@pytest.mark.parametrize(
    ("given", "task", "message"),
    [
        ({"dropout": 0.1}, DIGITS, "lenet takes no dropout"),
        ({"label_smoothing": 0.1}, Regression(names=("y",)), "A regression task has no labels to smooth"),
        ({"label_smoothing": 0.1, "l1": 1e-4, "momentum": 0.95, "dropout": 0.0}, DIGITS, ""),
    ],
)
def test_a_hyper_parameter_that_would_change_nothing_is_refused(
    given: dict[str, float], task: Task, message: str
) -> None:
    network = torch_nn.Sequential(torch_nn.Flatten(), torch_nn.Linear(784, 10))
    if not message:
        refuse_unused(given, network, task, "lenet")
        return
    with pytest.raises(InputError, match=message):
        refuse_unused(given, network, task, "lenet")


def test_a_hyper_parameter_switches_on_the_layer_that_it_needs(cheap: dict[str, Any]) -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(60, 3)), random.normal(size=60)
    told = {**cheap, "model": {"name": "mlp", "hidden": [8]}, "setting": {"dropout": 0.5, "activity_l2": 0.1}}
    config = Training(declare((x, y), Options.of(told), Observer()), Options.of(told)).network.config
    assert isinstance(config, MLP)
    assert config.dropout
    assert config.activity
