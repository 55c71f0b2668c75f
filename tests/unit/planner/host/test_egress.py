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


def test_each_rule_is_as_the_kernel_reads_it() -> None:
    """Spelt out: a word that is wrong has all of them refused, and pods reach what they must not."""
    passing = (
        'iifname != "br-1" return; ct state established,related accept; '
        "meta l4proto { tcp, udp } th dport 53 accept; ip daddr 10.1.0.0/16 accept; "
    )
    refusal = "reject with icmpx type admin-prohibited"
    hooked = "chain {0} {{ type filter hook {0} priority filter - 10; policy accept; "
    assert ruleset("mine", "br-1", ["10.1.0.0/16"]) == (
        "table inet pinacle-mine { }; delete table inet pinacle-mine; table inet pinacle-mine { "
        + hooked.format("forward")
        + passing
        + "ip daddr { 0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 168.63.129.16/32, 169.254.0.0/16, "
        "172.16.0.0/12, 192.0.0.0/24, 192.168.0.0/16, 198.18.0.0/15, 224.0.0.0/4, 240.0.0.0/4 } "
        f"{refusal}; "
        "ip6 daddr { ::/127, ::ffff:0:0/96, fc00::/7, fe80::/10, fec0::/10, ff00::/8 } "
        f"{refusal}; }}; "
        + hooked.format("input")
        + passing
        + "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } accept; "
        f"{refusal}; }}; }}"
    )
