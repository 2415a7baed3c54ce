"""A pretrained part that the user has frozen is not trained by a fit, is saved with the model, and loads frozen."""

from typing import Any

import pandas as pd
import pytest
import torch
from torch import nn
from torch.testing import assert_close

import tutti
from tutti.core import InputError

SPLIT: dict[str, Any] = {"target": "cultivar", "drop": ["strong", "late", "dense"]}


def pretrained(features: int, outputs: int) -> nn.Module:
    """A frozen layer of known weights before a head that is trained."""
    net = nn.Sequential(nn.Linear(features, 8), nn.Tanh(), nn.Linear(8, outputs))
    with torch.no_grad():
        net[0].weight.copy_(torch.linspace(-1, 1, 8 * features).view(8, features))
    net[0].requires_grad_(False)
    return net


@pytest.mark.parametrize("refit", [False, True])
def test_a_pretrained_part_is_kept_saved_and_loaded(
    refit: bool, wine: pd.DataFrame, cheap: dict[str, Any], weights_of: Any
) -> None:
    decayed = cheap | {"weight_decays": [0.1]}
    model = tutti.fit(wine, model=pretrained, refit=refit, out="run", **SPLIT, **decayed)
    loaded = tutti.load("run", model=pretrained)
    tensors = weights_of("run")
    for fitted in (model, loaded):
        assert len(fitted.predictor.networks) == (1 if refit else 3)
        for i, network in enumerate(fitted.predictor.networks):
            parameters = dict(network.named_parameters())
            name = next(name for name in parameters if name.endswith("0.weight"))
            frozen = parameters[name]
            assert not frozen.requires_grad
            built = torch.linspace(-1, 1, frozen.numel()).view(frozen.shape)
            assert torch.equal(frozen, built)
            assert torch.equal(tensors[f"{i}.network.{name}"], built)
            assert sum(p.requires_grad for p in parameters.values()) == 2
    assert_close(loaded.predict_proba(wine), model.predict_proba(wine))


def test_a_module_is_taken_with_what_it_has_frozen(wine: pd.DataFrame, cheap: dict[str, Any]) -> None:
    """The very module, not a function that makes one; it is left as it was."""
    table = wine[["alcohol", "ash", "proline"]]
    module = pretrained(2, 1)
    before = {name: p.clone() for name, p in module.named_parameters()}
    fitted = tutti.fit(table, target="proline", model=module, **cheap)
    for network in fitted.predictor.networks:
        assert torch.equal(network.body.module[0].weight, before["0.weight"])
        assert not torch.equal(network.body.module[2].weight, before["2.weight"])
    assert all(torch.equal(p, before[name]) for name, p in module.named_parameters())


def test_a_network_of_frozen_parameters_alone_is_refused(wine: pd.DataFrame, cheap: dict[str, Any]) -> None:
    def frozen(features: int, outputs: int) -> nn.Module:
        return pretrained(features, outputs).requires_grad_(False)

    with pytest.raises(InputError, match="Every parameter of this network is frozen"):
        tutti.fit(wine, model=frozen, **SPLIT, **cheap)
