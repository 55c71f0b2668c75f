"""The sizes of pods."""

from typing import Final, NamedTuple


class Tier(NamedTuple):
    """What a pod of this size may use."""

    cpus: int
    memory_gib: int
    storage_gb: int
    """On a pool it is the pod's limit; elsewhere it is only told beside what the pod has."""


TIERS: Final[dict[str, Tier]] = {
    "dev.small": Tier(cpus=1, memory_gib=2, storage_gb=20),
    "dev.medium": Tier(cpus=2, memory_gib=4, storage_gb=40),
    "dev.large": Tier(cpus=4, memory_gib=8, storage_gb=80),
    "dev.xlarge": Tier(cpus=8, memory_gib=16, storage_gb=160),
}
DEFAULT_TIER: Final = "dev.small"
