"""What counts as changed in a directory that an image filled, on a real btrfs."""

import subprocess
from collections.abc import Callable
from typing import Final

import pytest

from tests.support.pools import Parts
from worker.errors import ForeignObjectError
from worker.local.images import Folder, import_busybox
from worker.local.pool_file import PoolFile
from worker.local.private_engine import PrivateEngine
from worker.pods.observation import ImageDirectory
from worker.pool.comparing import unchanged_volumes
from worker.pool.pods import PodSubvolumes
from worker.pool.templates import Templates, template_name

Make = Callable[..., Parts]
VOLUMES: Final = {"app": "/app", "opt": "/opt"}
TOUCHES: Final = {
    "nothing": (True, "true"),
    "reading": (True, "cat code > /dev/null"),
    "a time": (True, "touch code; touch ."),
    "what another volume hides": (True, "echo mine > run/mine; chmod 700 run"),
    "content of the same length and time": (False, "echo mine > code; touch -r in/file code"),
    "a new file": (False, "touch mine"),
    "a new file without a name that is text": (False, "touch $(printf '\\\\377')"),
    "a removal": (False, "rm code"),
    "a mode": (False, "chmod 600 code"),
    "the mode of the directory itself": (False, "chmod 711 ."),
    "an owner": (False, "chown 7:7 in"),
    "another kind": (False, "rm code; mkdir code"),
    "a link": (False, "ln -s code link"),
    "where a link leads": (False, "ln -sfn /etc to"),
    "a hard link in place of the same content": (False, "ln -f in/file in/same"),
    "an attribute": (False, "setfattr -n user.mine -v 1 code"),
    "what makes a program root": (
        False,
        "setfattr -n security.capability -v 0sAQAAAgAEAAAAAAAAAAAAAAAAAAA= code",
    ),
    "a directory that became a link to it": (False, "mv in other; ln -s other in"),
}
"""Whether the directory counts as unchanged after a shell has done this in it."""


class Rig:
    """A pool with an image's template."""

    def __init__(self, parts: Parts, file: PoolFile, template: str) -> None:
        self.parts, self.file, self.template = parts, file, template
        self.pods = PodSubvolumes(parts.pool)

    async def make(self, pod_id: str) -> str:
        uuid = await self.pods.begin(pod_id, "1", self.template, limit=10**8)
        assert uuid is not None
        await self.pods.finish(pod_id, "1", uuid)
        return uuid

    async def unchanged(self, pod_id: str, uuid: str) -> frozenset[str]:
        directories = {
            "app": ImageDirectory(name="app", path="/app", hidden=("run",)),
            "opt": ImageDirectory(name="opt", path="/opt"),
        }
        return await unchanged_volumes(
            self.parts.pool, pod_id, uuid, self.template, directories, deadline_s=60
        )

    def touch(self, pod_id: str, script: str) -> None:
        place = self.file.seen / "pods" / pod_id / "app"
        subprocess.run(["sh", "-ec", script], cwd=place, check=True, stdout=subprocess.DEVNULL)


@pytest.fixture
async def rig(make: Make, engine: PrivateEngine, pool_file: PoolFile) -> Rig:
    parts = make()
    await parts.pool.open(None)
    import_busybox(
        engine,
        "pinacle-compared",
        files={f"app/{name}": b"same\n" for name in ("code", "in/file", "in/same", "run/data")},
        links={"app/to": "/opt"},
        folders=(Folder("app/in", 0o2751, 1234, 4321),),
    )
    image = await parts.docker.find_image("pinacle-compared")
    assert image is not None
    await Templates(parts.pool, parts.filling).of(image, VOLUMES)
    return Rig(parts, pool_file, template_name(image.id, VOLUMES))


async def test_each_change_of_its_owner_counts_and_no_other(rig: Rig) -> None:
    """Beside it is a directory in which nobody changed anything."""
    found = {}
    for number, (what, (_, script)) in enumerate(TOUCHES.items()):
        pod_id = f"pod{number}"
        uuid = await rig.make(pod_id)
        rig.touch(pod_id, script)
        found[what] = await rig.unchanged(pod_id, uuid)
    expected = {what: {"opt", "app"} if same else {"opt"} for what, (same, _) in TOUCHES.items()}
    assert found == expected
    uuid = await rig.make("nested")
    await rig.parts.pool.run("test", "btrfs subvolume create /pool/pods/nested/app/mine")
    assert await rig.unchanged("nested", uuid) == {"opt"}, "a subvolume"


async def test_what_cannot_be_compared_counts_as_changed(rig: Rig) -> None:
    """A directory that is gone from the template or from the pod, and a template that is gone."""
    uuid = await rig.make("a")
    rig.touch("a", "rm -r ../app")
    assert await rig.unchanged("a", uuid) == {"opt"}
    rig.template = "gone"
    assert await rig.unchanged("a", uuid) == set()


async def test_another_subvolume_is_not_compared(rig: Rig) -> None:
    await rig.make("a")
    with pytest.raises(ForeignObjectError, match="its own subvolume"):
        await rig.unchanged("a", "another")
