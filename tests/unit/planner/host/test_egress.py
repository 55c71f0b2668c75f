"""The rules, as text; tests/integration/test_egress.py tests what they do."""

import pytest

from worker.planner.host.egress import ruleset


def test_they_are_one_line_of_ours_alone() -> None:
    rules = ruleset("mine", "br-1")
    assert "\n" not in rules
    assert "'" not in rules, "a shell gets them in quotes"
    assert rules.startswith("table inet pinacle-mine { }; delete table inet pinacle-mine; ")
    assert rules.count("table inet") == rules.count("pinacle-mine") == 3


@pytest.mark.parametrize(
    ("network", "words"), [("10.1.0.0/16", "ip daddr 10.1.0.0/16"), ("fd00::/64", "ip6 daddr fd00::/64")]
)
def test_what_is_allowed_comes_before_what_is_refused(network: str, words: str) -> None:
    forward, entering = ruleset("mine", "br-1", [network]).split("chain input")
    for chain in (forward, entering):
        assert chain.index(f"{words} accept") < chain.index("reject")


def test_other_bridges_are_nobodys_business() -> None:
    for chain in ruleset("mine", "br-1").split("chain ")[1:]:
        assert chain.split("; ")[2] == 'iifname != "br-1" return'
