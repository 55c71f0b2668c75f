"""An image with labels like ours: containers inherit them, and are recognised for what they are."""

import pytest

from tests.support.pods import Pod
from worker.local.client import Client
from worker.local.images import import_busybox
from worker.local.private_engine import PrivateEngine
from worker.local.waiting import wait_until

LABELS = "LABEL " + " ".join(
    f"dev.pinacle.{name}" for name in ("pod=ghost", "installation=pinacle", "base=x", "incarnation=y")
)

UNUSED = ("base=x", "installation=pinacle", "incarnation=pinacle-base-unused")
WITNESS = (
    *(word for label in UNUSED for word in ("--label", f"dev.pinacle.{label}")),
    "pinacle-base-unused-usr",
)
"""What makes a volume of a base that nobody uses: once it is gone, whatever counts as one has gone."""


@pytest.fixture(scope="module")
def settings(settings: dict[str, str]) -> dict[str, str]:
    """A base that nobody uses is removed soon; the container for looking at an image is gone before."""
    return {**settings, "PINACLE_BASE_GRACE_S": "4"}


def test_it_is_no_orphan_and_no_base_and_its_pod_keeps_its_container(
    client: Client, engine: PrivateEngine
) -> None:
    image = import_busybox(engine, "pinacle-labelled", changes=(LABELS,))
    ghost = engine.docker("create", image, "sleep", "1000").strip()
    try:
        with Pod.running(client, engine, "labelled", {"image": image}) as pod:
            before = pod.container_id()
            # Containers that do not run can be removed; the Engine refuses the rest.
            pod.call("stop")
            engine.docker("volume", "create", *WITNESS)
            wait_until(
                lambda: WITNESS[-1] not in engine.docker("volume", "ls", "-q"),
                40,
                what="the unused base to go",
            )
            assert pod.container_id() == before
            assert engine.docker("inspect", "-f", "{{.Id}}", ghost).strip() == ghost
            assert client.call("list", orphans=True)["orphans"] == []
    finally:
        engine.docker("rm", "-f", ghost)
