"""Every name of the courses' list resolves: to a rule, a class of another package, or a reason with its paper."""

import re
import warnings
from pathlib import Path

import pytest

from tutti.core import InputError
from tutti.optim import RULES, Foreign, catalogue, describe, find_rule, foreign_classes, resolve
from tutti.optim._catalogue import foreign_memory, plain
from tutti.optim._foreign import REFUSED

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("pytorch_optimizer")
LISTED = [entry for entry in catalogue() if entry.listed]
MODERN = ["Lion", "Muon", "Schedule-Free AdamW", "ScheduleFree_SGD", "Prodigy", "AdEMAMix", "SOAP", "c_adamw"]
MODERN += ["SAM", "ASAM", "Lookahead", "SWA", "EMA"]


# catalogue: L6
def test_the_list_of_154_is_here_name_by_name(shared_data: Path) -> None:
    lines = (shared_data.parent / "catalogue-optimisers.txt").read_text(encoding="utf8").splitlines()
    given = {tuple(re.fullmatch(r"(.+?)\t\((.+)\)", line).groups()) for line in lines if line.strip()}  # type: ignore[union-attr]
    assert len(given) == 154
    assert {(entry.name, entry.reference) for entry in LISTED} == given


# catalogue: L6
@pytest.mark.parametrize("entry", LISTED, ids=lambda entry: entry.key)
def test_each_listed_name_resolves_or_says_why_not(entry) -> None:  # type: ignore[no-untyped-def]
    if entry.reason:
        with pytest.raises(InputError, match=re.escape(entry.reason)) as caught:
            find_rule(entry.key)
        assert entry.reference in str(caught.value)
        return
    rule = find_rule(entry.key)
    if isinstance(rule, Foreign):
        assert entry.origin == "pytorch-optimizer"
        assert foreign_memory(rule) == entry.memory
    else:
        assert entry.origin == "tutti"
        assert describe(rule.name)["memory"] is not None
    assert find_rule(entry.key.upper().replace(entry.reference.upper(), entry.reference)) == rule


def test_a_name_with_a_reason_says_where_to_read_of_it() -> None:
    """But for one, whose paper is not known for certain."""
    refused = [entry for entry in LISTED if entry.reason and entry.name != "SWNTS"]
    for entry in refused:
        assert re.fullmatch(r"arXiv \d{4}\.\d{4,5}|https?://\S+", entry.where), entry.key
    code = [entry for entry in refused if not entry.title]
    assert all("as code without a paper" in entry.reason for entry in code)
    assert all(entry.where.startswith("https://github.com/") for entry in code)


def test_at_least_forty_of_them_are_rules_of_ours() -> None:
    assert sum(entry.origin == "tutti" for entry in LISTED) >= 73


@pytest.mark.parametrize("name", MODERN)
def test_modern_names_are_rules_of_ours(name: str) -> None:
    assert find_rule(name).name in RULES


@pytest.mark.parametrize("name", list(RULES))
def test_every_rule_says_formula_paper_and_memory(name: str) -> None:
    said = describe(name)
    assert "←" in said["formula"] or "=" in said["formula"] or name == "centralised"
    assert re.search(r"\b(19|20)\d\d\b", said["paper"]), said["paper"]
    assert said["memory"] >= 0
    if name != "sadam":  # two papers call theirs so
        assert find_rule(name.upper()) == RULES[name]()


@pytest.mark.parametrize("origin", ["torch", "pytorch_optimizer"])
def test_every_class_of_the_packages_resolves_by_its_own_name(origin: str) -> None:
    for name in foreign_classes(origin):
        full = f"{origin}.{name}"
        assert resolve(full)[1] == full
        if full not in REFUSED:
            target = resolve(name)[1]
            assert plain(target.rpartition(".")[2]) == plain(name) or target in RULES


@pytest.mark.parametrize("name", ["adas", "gadam", "SAdam", "saDAM"])
def test_namesakes_must_be_told_apart(name: str) -> None:
    with pytest.raises(InputError, match=r"Say which: .+ or .+\)'"):
        find_rule(name)


def test_namesakes_with_their_reference_or_case_are_told_apart() -> None:
    assert find_rule("SAdam (Wang et al., 2020b)").name == "sadam"
    assert find_rule("SAdam (Tong et al., 2019)").name == "softplus_adam"
    assert find_rule("Gadam").name == "swa"
    with pytest.raises(InputError, match="breeds"):
        find_rule("GADAM")
    with pytest.raises(InputError, match="singular values"):
        find_rule("AdaS")


@pytest.mark.parametrize(
    ("given", "name"),
    [("RADam", "radam"), ("SGDDEM", "sgdem"), ("SGDEM", "sgdem"), ("Cool Momentum", "coolmomentum")],
)
def test_misprints_of_the_list_have_aliases(given: str, name: str) -> None:
    assert find_rule(given).name == name


def test_without_the_package_its_classes_are_those_of_the_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a name resolves to what it does elsewhere; what cannot be known is not guessed."""
    monkeypatch.setattr("tutti.optim._catalogue.foreign_classes", lambda origin: {})
    assert resolve("pytorch_optimizer.adahessian")[1] == "pytorch_optimizer.AdaHessian"
    with pytest.raises(InputError, match=r"pytorch_optimizer.AdaBelief is not known: pytorch-optimizer is not inst"):
        resolve("pytorch_optimizer.AdaBelief")


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(InputError, match="Did you mean 'Adam"):
        find_rule("adamm")
    with pytest.raises(InputError, match="tutti optimizers"):
        find_rule("zzzzzzzz")
    with pytest.raises(InputError, match="has no name"):
        find_rule({"beta2": 0.9})


def test_options_of_a_rule_are_checked() -> None:
    assert find_rule({"name": "Adam", "beta2": 0.9}).to_json()["beta2"] == 0.9
    with pytest.raises(InputError, match="Did you mean 'beta2'"):
        find_rule({"name": "adam", "bet2": 0.9})


def test_a_rule_within_a_rule_is_given_by_name_or_json() -> None:
    rule = find_rule({"name": "lookahead", "rule": {"name": "sam", "rule": "lion"}})
    assert rule.to_json()["rule"]["rule"]["name"] == "lion"
    assert find_rule(rule.to_json()) == rule
    assert rule.usual_rate == find_rule("lion").usual_rate
    with pytest.raises(InputError, match="cannot go around"):
        find_rule({"name": "sam", "rule": "torch.Adam"})


def test_entries_are_plain_values() -> None:
    entry, target = resolve("SGDR")
    assert entry is not None
    assert target == "momentum"
    written = entry.to_json()
    assert "warm_restarts" in written["note"]
    assert written["rules"]["momentum"]["memory"] == 1.0
