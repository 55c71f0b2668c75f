"""The sizes of pods."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

_GB: Final = 10**9
_SMALLEST_GB: Final = Decimal("0.1")
_LARGEST_GB: Final = Decimal(1_000_000)


class Tier(NamedTuple):
    """What a pod of this size may use."""

    cpus: int
    memory_gib: int
    storage_gb: int
    """On a pool it is the pod's limit; elsewhere nothing ends a pod there.

    PINACLE_TIER_STORAGE_GB sets others.
    """


TIERS: Final[dict[str, Tier]] = {
    "dev.small": Tier(cpus=1, memory_gib=2, storage_gb=20),
    "dev.medium": Tier(cpus=2, memory_gib=4, storage_gb=40),
    "dev.large": Tier(cpus=4, memory_gib=8, storage_gb=80),
    "dev.xlarge": Tier(cpus=8, memory_gib=16, storage_gb=160),
}
DEFAULT_TIER: Final = "dev.small"
TIER_STORAGE: Final[Mapping[str, int]] = {name: tier.storage_gb * _GB for name, tier in TIERS.items()}
"""Bytes that a pod may keep, by tier."""


def storage_by_tier(value: str) -> Mapping[str, int]:
    """Return how many bytes a pod of each tier may keep, of `20,40,80,160`: GB, in the order of the table.

    Raises ValueError.
    """
    sizes = [_gigabytes(each) for each in value.split(",")] if value else []
    if sizes and (len(sizes) != len(TIERS) or sizes != sorted(sizes)):
        raise ValueError(
            f"{value!r} has to be {len(TIERS)} sizes, none smaller than the one before it: those of "
            f"{', '.join(TIERS)}; allowed: such as {_usual()}"
        )
    return dict(zip(TIERS, (int(size * _GB) for size in sizes), strict=True)) if sizes else TIER_STORAGE


def _gigabytes(value: str) -> Decimal:
    try:
        size = Decimal(value)
    except InvalidOperation:
        size = Decimal("NaN")
    if not (size.is_finite() and _SMALLEST_GB <= size <= _LARGEST_GB):
        raise ValueError(
            f"{value!r:.80} is no size from {_SMALLEST_GB} to {_LARGEST_GB} GB; allowed: such as {_usual()}"
        )
    return size


def _usual() -> str:
    return ",".join(str(tier.storage_gb) for tier in TIERS.values())
