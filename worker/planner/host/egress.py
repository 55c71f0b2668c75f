"""What pods may not reach through their host: rules for the kernel's packet filter, as text."""

from collections.abc import Collection, Sequence
from ipaddress import ip_network
from typing import Final

CLOSED: Final = "closed"
OPEN: Final = "open"
METADATA: Final = "169.254.169.254"
"""Where clouds answer whoever asks, from the host, with the host's own credentials."""
UNUSED_PORT: Final = 9
"""Of the host, on which nothing listens: an answer from there is a refusal, and shows that no rule is set."""
_PRIVATE: Final = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    # Not private by its number, but the same as the metadata address on one cloud.
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
_PRIVATE_V6: Final = ("::/127", "::ffff:0:0/96", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8")
_BEFORE_DOCKER: Final = "filter - 10"
"""Docker's own chains accept what comes from its bridges; what is refused before them is not asked again."""
_REFUSE: Final = "reject with icmpx type admin-prohibited"
"""Not dropped silently, so that a program that looks for a cloud's metadata goes on at once."""


def table_name(installation: str) -> str:
    """Return the name of the table that is only ours, whatever else filters packets there."""
    return f"pinacle-{installation}"


def removal(installation: str) -> str:
    """Return the commands that remove the table, even if there is none."""
    table = table_name(installation)
    return f"table inet {table} {{ }}; delete table inet {table}"


def ruleset(installation: str, bridge: str, allowed: Collection[str] = ()) -> str:
    """Return the commands for `nft`, on one line, that let the pods on `bridge` reach only the internet.

    They replace earlier rules in one step. Port 53 is open everywhere, for names. Answers to connections from
    outside pass, and so do published ports.
    """
    passing = [
        f'iifname != "{bridge}" return',
        "ct state established,related accept",
        "meta l4proto { tcp, udp } th dport 53 accept",
        *_accepted(allowed),
    ]
    outward = [*passing, f"ip daddr {_set(_PRIVATE)} {_REFUSE}", f"ip6 daddr {_set(_PRIVATE_V6)} {_REFUSE}"]
    # Without its neighbours' answers no IPv6 packet leaves.
    discovery = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } accept"
    inward = [*passing, discovery, _REFUSE]
    chains = f"{_chain('forward', outward)}; {_chain('input', inward)}"
    return f"{removal(installation)}; table inet {table_name(installation)} {{ {chains}; }}"


def _chain(hook: str, rules: Sequence[str]) -> str:
    lines = "; ".join(rules)
    return f"chain {hook} {{ type filter hook {hook} priority {_BEFORE_DOCKER}; policy accept; {lines}; }}"


def _accepted(allowed: Collection[str]) -> list[str]:
    networks = [ip_network(one) for one in allowed]
    families = {4: "ip", 6: "ip6"}
    return [f"{families[each.version]} daddr {each} accept" for each in networks]


def _set(networks: Collection[str]) -> str:
    return f"{{ {', '.join(networks)} }}"
