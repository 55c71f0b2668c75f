"""Images that the host lacks come from a registry: a real one, on loopback, behind a password."""

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.pods import Pod
from tests.support.registry import REGISTRY, running_registry
from tests.support.worker import WorkerProcess
from worker.local.client import Client
from worker.local.images import import_busybox
from worker.local.packages import find
from worker.local.private_engine import PrivateEngine

IMAGE: Final = f"{REGISTRY}/private/base:1"
PASSWORD: Final = "registry-canary-81c2"  # noqa: S105 - of the registry below
AUTH: Final = """
auth:
  htpasswd:
    realm: test
    path: {folder}/htpasswd
"""


@pytest.fixture(scope="module")
def registry(engine: PrivateEngine, scratch: Path) -> Iterator[str]:
    """Return the value of an `auth` entry for it."""
    folder = scratch / "private-registry"
    folder.mkdir()
    (folder / "htpasswd").write_text(f"puller:{_bcrypt(PASSWORD)}\n")
    with running_registry(engine, folder, AUTH.format(folder=folder)):
        yield base64.b64encode(f"puller:{PASSWORD}".encode()).decode()


def _bcrypt(password: str) -> str:
    """Return the hash for the registry's password file, from the C library's crypt."""
    script = "print crypt($ARGV[0], '$2y$05$abcdefghijklmnopqrstuu')"
    return subprocess.run(["perl", "-e", script, password], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def pushed(engine: PrivateEngine, registry: str, scratch: Path) -> Path:
    """Push an image and remove it locally; return a folder with a config.json that has the credentials."""
    own = import_busybox(engine, "pinacle-pushed", changes=("ENV PUSHED=1",))
    config = scratch / "docker-config"
    config.mkdir()
    (config / "config.json").write_text(json.dumps({"auths": {REGISTRY: {"auth": registry}}}))
    engine.docker("tag", own, IMAGE)
    docker = [find("docker") or "docker", "--config", str(config), "-H", engine.url]
    subprocess.run([*docker, "push", "-q", IMAGE], check=True, stdout=subprocess.DEVNULL)
    engine.docker("rmi", IMAGE, own)
    return config


@pytest.fixture(scope="module")
def settings(settings: dict[str, str], pushed: Path) -> dict[str, str]:
    return {
        **settings,
        "DOCKER_CONFIG": str(pushed),
        "PINACLE_REGISTRIES": f"docker.io,{REGISTRY}",
        "PINACLE_IMAGES": f"*,{REGISTRY}/private/*",
    }


def test_a_missing_image_is_pulled_with_credentials_and_pinned(
    client: Client, engine: PrivateEngine, pushed: Path, pod_worker: WorkerProcess
) -> None:
    """It is pinned by id and repository digest; the password is in no log."""
    with Pod.running(client, engine, "pulled", {"image": IMAGE}) as pod:
        answer = pod.call("get")
        assert answer["image"].startswith("sha256:")
        assert "image_pulled" in pod_worker.text()
        assert PASSWORD not in pod_worker.text()


def test_a_private_image_that_does_not_exist_is_told_apart(
    client: Client, engine: PrivateEngine, pushed: Path
) -> None:
    """The registry was asked and does not have it: nothing is made."""
    text = client.error("create", "nope", {"image": f"{REGISTRY}/private/nothing:1"})
    assert text.startswith("ImageNotFoundError: ")
    assert f"'{REGISTRY}/private/nothing:1' is not on this host" in text
    assert "its registry does not have it" in text
    assert "allowed: an image that exists" in text
    assert client.error("get", "nope").startswith("PodNotFoundError")


def test_an_image_of_another_registry_is_refused_unless_it_is_on_the_host(
    client: Client, engine: PrivateEngine, busybox: str
) -> None:
    """Newer Engines take LOCALHOST for a registry, and a pod may listen there."""
    for reference in ("LOCALHOST/x:1", "127.0.0.1/private/base:1", "registry.invalid/x"):
        text = client.error("create", "elsewhere", {"image": reference})
        assert text.startswith(f"InvalidInputError: spec.image: '{reference}' is not on this host")
        assert f"allowed: an image that is on this host, or one of {REGISTRY}, docker.io" in text
    engine.docker("tag", busybox, "registry.invalid/loaded:1")
    with Pod.running(client, engine, "loaded", {"image": "registry.invalid/loaded:1"}):
        engine.docker("rmi", "registry.invalid/loaded:1")


def test_a_private_image_that_no_pattern_names_is_not_pulled_with_the_operators_credentials(
    client: Client, engine: PrivateEngine, pushed: Path
) -> None:
    text = client.error("create", "stolen", {"image": f"{REGISTRY}/secret/base:1"})
    assert text.startswith("ImageNotFoundError: spec.image: ")
    assert "no basic auth" in text


def test_a_pinned_image_that_is_gone_is_pulled_by_its_digest(
    client: Client, engine: PrivateEngine, pod_worker: WorkerProcess, pushed: Path
) -> None:
    """The tag may name another image now; the pod gets the one that it had."""
    with Pod.running(client, engine, "again", {"image": IMAGE}) as pod:
        image = pod.call("get")["image"]
        pod.sh("echo mine > /root/file")
        pod.call("stop")
        with pod_worker.held():
            # A pass in between would make another container of that image.
            engine.docker("rm", pod.container)
            engine.docker("rmi", "-f", image)
        answer = pod.call("start")
        assert (answer["phase"], answer["image"]) == ("running", image), answer
        assert pod.sh("cat /root/file") == "mine"


def test_a_pinned_image_that_is_gone_for_good_fails_the_pod_by_its_name(
    client: Client, engine: PrivateEngine, pod_worker: WorkerProcess
) -> None:
    """An imported image has no digest to pull; nothing replaces it, and the volumes stay."""
    name = import_busybox(engine, "pinacle-lost", changes=("ENV LOST=1",))
    with Pod.running(client, engine, "lost", {"image": name}) as pod:
        image = pod.call("get")["image"]
        before = engine.docker("volume", "ls", "-q")
        pod.call("stop")
        with pod_worker.held():
            # A pass in between would make another container of that image.
            engine.docker("rm", pod.container)
            engine.docker("rmi", "-f", image)
        answer = pod.call("start")
        assert answer["phase"] == "failed"
        assert f"image pinacle-lost ({image}) is gone from this host" in answer["last_error"]
        assert engine.docker("volume", "ls", "-q") == before
