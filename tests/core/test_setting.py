import json
from dataclasses import fields

import pytest

from tutti.core import InputError, Setting


def test_a_setting_survives_json():
    setting = Setting(learning_rate=0.03, weight_decay=0.1, dropout=0.2, momentum=0.8)
    assert Setting.from_json(json.loads(json.dumps(setting.to_json()))) == setting


def test_settings_are_keys_and_have_an_order():
    settings = {Setting(learning_rate=0.1), Setting(learning_rate=0.1), Setting(learning_rate=0.01)}
    assert [s.learning_rate for s in sorted(settings)] == [0.01, 0.1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"learning_rate": 0.0},
        {"learning_rate": -1.0},
        {"learning_rate": float("nan")},
        *({name: 1.0} for name in ("dropout", "label_smoothing", "momentum")),
        *({name: -0.1} for name in ("dropout", "label_smoothing", "momentum", "weight_decay", "noise", "l1")),
        *({name: value} for name in ("augment", "flip") for value in (-0.1, 1.1)),
        *({name: float("nan")} for name in ("activity_l1", "activity_l2", "dropout")),
    ],
)
def test_values_out_of_range_are_refused_by_name(wrong):
    (name,) = wrong
    with pytest.raises(InputError, match=name):
        Setting(**wrong)


def test_every_field_may_be_set_to_a_value_in_range():
    names = [f.name for f in fields(Setting) if f.type is float]
    assert Setting(**dict.fromkeys(names, 0.5)).to_json() == dict.fromkeys(names, 0.5)


def test_an_unknown_hyper_parameter_offers_the_nearest():
    with pytest.raises(InputError, match="Did you mean 'weight_decay'"):
        Setting.from_json({"weight_decy": 0.1})
