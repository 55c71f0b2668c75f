"""Each image of the stack can be named by digest."""

import json
import os
import re
import subprocess
from typing import Final

from tests.acceptance.conftest import CACHE, ROOT
from worker.local.compose import compose_program

COMPOSE: Final = (ROOT / "docker-compose.yml").read_text()
VARIABLES: Final = re.findall(r"\$\{(\w+_IMAGE):-", COMPOSE)


def test_a_digest_reaches_compose_as_it_was_written() -> None:
    """With host, port, tag and digest, for each variable that names an image; builds use it as their base."""
    pinned = {
        name: f"registry.example:5000/{name.lower()}:1.2@sha256:{number:064x}"
        for number, name in enumerate(VARIABLES)
    }
    given = {**os.environ, **pinned, "REDIS_PASSWORD": "x", "FLOWER_BASIC_AUTH": "a:b"}
    command = [str(compose_program(CACHE)), "--env-file", os.devnull, "--profile", "metrics", "config"]
    done = subprocess.run(
        [*command, "--format", "json"], check=False, capture_output=True, text=True, cwd=ROOT, env=given
    )
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"].values()
    images = {service["image"] for service in services if "build" not in service}
    bases = {service["build"]["args"]["BASE_IMAGE"] for service in services if "build" in service}
    assert bases == {pinned["PYTHON_IMAGE"]}
    assert images == set(pinned.values()) - bases
    assert len(pinned) == 5
