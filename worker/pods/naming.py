"""Names and labels: the only things by which Engine objects are recognised, and always whole."""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from worker.errors import InvalidInputError
from worker.quoting import shown

_T = TypeVar("_T")

CONTAINER_PREFIX: Final = "pinacle-pod-"
VOLUME_PREFIX: Final = "pinacle-vol-"
BASE_PREFIX: Final = "pinacle-base-"

LABEL_POD: Final = "dev.pinacle.pod"
LABEL_VOLUME: Final = "dev.pinacle.volume"
LABEL_INSTALLATION: Final = "dev.pinacle.installation"
LABEL_INCARNATION: Final = "dev.pinacle.incarnation"
LABEL_SPEC: Final = "dev.pinacle.spec"
"""On containers: the spec as JSON, without `env`."""
LABEL_SPEC_HASH: Final = "dev.pinacle.spec-hash"
LABEL_ENV: Final = "dev.pinacle.env"
"""On containers: the names in the spec's `env` as JSON, never a value: the Engine adds its image's own."""
LABEL_PATH: Final = "dev.pinacle.path"
"""On a pod's volumes: where it is mounted."""
LABEL_IMAGE: Final = "dev.pinacle.image"
"""On a pod's volumes: the id of the image that fills it."""
LABEL_UNASKED: Final = "dev.pinacle.unasked"
"""On a volume that the Engine made by itself, because a container was created while it was missing.

Such a volume is empty and in the place of data, so it is never used."""
LABEL_RESTORED: Final = "dev.pinacle.restored"
"""On a volume that a person made for data that is to be restored into it, by the line that we printed.

It does not count before a person says that the data is in it. Its value differs for each making."""
LABEL_SYSTEM: Final = "dev.pinacle.system"
"""On a pod's container and system volumes: how its system directories are kept, as JSON."""
LABEL_SUBVOLUME: Final = "dev.pinacle.subvolume"
"""On the container and volumes of a pod on a pool: the subvolume that holds its data, as JSON."""
LABEL_BASE: Final = "dev.pinacle.base"
"""On the volumes of a base and on the container that keeps them: the id of the image that filled them."""
LABEL_HELPER: Final = "dev.pinacle.helper"
"""On containers in which tools run next to a pool's data: a hash of how the container was made."""
LABEL_CONFINED: Final = "dev.pinacle.confined"
"""On containers made without NET_RAW, MKNOD and health checks; older ones have what Docker gives."""
LABEL_EGRESS: Final = "dev.pinacle.egress"
"""On the network and the sentinel: whether the installation began `closed` or `open`."""
LABEL_STORAGE: Final = "dev.pinacle.storage"
"""On the sentinel volume of a host: the identity of the storage that holds its pods."""
LABEL_STORE: Final = "dev.pinacle.store"
"""On the container that keeps the sentinel: the id of the store that holds the installation's records."""
LABEL_CONTENDER: Final = "dev.pinacle.contender"
"""On the container by which another store asks: the id of that store."""

POD_ID_RULE: Final = "1 to 63 of A-Z a-z 0-9 _ - beginning with a letter or a digit"
_POD_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_HOSTNAME_FORBIDDEN: Final = re.compile(r"[^A-Za-z0-9-]")


def parse_pod_id(value: object) -> str:
    """Return `value` if it is a pod id; raises InvalidInputError with the rule otherwise."""
    if not isinstance(value, str):
        raise InvalidInputError(f"pod_id: {shown(value)} is not a string; allowed: {POD_ID_RULE}")
    if _POD_ID.fullmatch(value) is None:
        raise InvalidInputError(f"pod_id: {shown(value)} is not a pod id; allowed: {POD_ID_RULE}")
    return value


def read_label(labels: Mapping[str, str], key: str, adapter: TypeAdapter[_T], says: str) -> _T | None:
    """Return what a label of ours has as JSON, None if there is none.

    `says` is what it should say. Raises InvalidInputError for what we did not write.
    """
    text = labels.get(key)
    try:
        return None if text is None else adapter.validate_json(text)
    except ValidationError as error:
        raise InvalidInputError(
            f"label {key}: {text!r:.80} does not say {says}: restore the volume with the labels that it had"
        ) from error


def container_name(pod_id: str) -> str:
    return f"{CONTAINER_PREFIX}{pod_id}"


def aside_name(pod_id: str, container_id: str) -> str:
    """Return the name of a container that the pod's name was taken from; no pod's, as none has a dot."""
    return f"{container_name(pod_id)}.{container_id[:12]}"


def volume_name(pod_id: str, volume: str) -> str:
    return f"{VOLUME_PREFIX}{pod_id}-{volume}"


def storage_name(installation: str) -> str:
    """Return the name of a host's sentinel volume and of the container that keeps it from being pruned."""
    return f"pinacle-storage-{installation}"


def contender_name(installation: str, store: str) -> str:
    """Return the name of the container by which a store asks for an installation that another one holds."""
    return f"pinacle-contender-{installation}-{store}"


def base_name(installation: str, image_id: str) -> str:
    """Return the name of the container that keeps an image's base: if it exists, the base is whole."""
    return f"{BASE_PREFIX}{sha256(f'{installation} {image_id}'.encode()).hexdigest()[:24]}"


def base_volume(base: str, directory: str) -> str:
    """Return the name of the volume that holds one directory of the base `base`."""
    return f"{base}-{system_volume(directory)}"


def base_labels(installation: str, image_id: str, base: str) -> dict[str, str]:
    """Return the labels of all that is made for a base; unused bases are found by them."""
    return {LABEL_BASE: image_id, LABEL_INSTALLATION: installation, LABEL_INCARNATION: base}


def system_volume(directory: str) -> str:
    """Return the volume name for a system directory: `usr` for `/usr`."""
    return directory.strip("/")


def filler_name(volume: str) -> str:
    """Return the name of the container by which we write into a volume; it lasts for a moment."""
    return f"pinacle-fill-{volume}"


def default_hostname(pod_id: str) -> str:
    """The pod id with what host names may not hold replaced; at most 63 characters, as pod ids are."""
    return _HOSTNAME_FORBIDDEN.sub("-", pod_id).strip("-") or "pod"
