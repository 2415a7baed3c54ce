import json
from dataclasses import dataclass
from typing import ClassVar

import pytest

from tutti.core import Config, InputError, configure


@dataclass(frozen=True, kw_only=True)
class Wide(Config):
    name: ClassVar[str] = "wide"
    widths: tuple[int, ...] = (64, 64)
    rate: float = 0.1


REGISTRY = {"wide": Wide}


def test_a_config_survives_json():
    config = Wide(widths=(8, 4), rate=0.5)
    assert configure("model", REGISTRY, json.loads(json.dumps(config.to_json()))) == config


def test_what_is_not_said_is_the_default():
    assert configure("model", REGISTRY, {"name": "wide"}) == Wide()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "This model has no name. There is: wide."),
        ({"name": "wid"}, "Unknown model 'wid'. Did you mean 'wide'?"),
        ({"name": "os.system"}, "Unknown model 'os.system'. There is: wide."),
        ({"name": "wide", "width": 3}, "Unknown option of model 'wide' 'width'. Did you mean 'widths'?"),
    ],
)
def test_names_are_looked_up_and_mistakes_explained(data, message):
    with pytest.raises(InputError) as caught:
        configure("model", REGISTRY, data)
    assert str(caught.value) == message
