"""The worker behind a proxy that lets only its own calls through: a pod's whole life, and what is refused."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from socket import AF_UNIX, SOCK_STREAM, socket
from typing import Any, Final

import pytest

from tests.support.pods import Pod
from tests.support.stack import Stack, own_stack
from tests.support.worker import WorkerProcess
from worker.docker.directories.layers import _INIT_PATHS
from worker.local import packages
from worker.local.waiting import wait_until

CONFIG: Final = Path(__file__).parents[2] / "docs" / "examples" / "haproxy.cfg"
INIT: Final = next((path for path in _INIT_PATHS if Path(path).exists()), _INIT_PATHS[0])
TOLD: Final = '"Privileged": true, {"Type": "bind", "Source": "/etc"} é'
"""What would be refused if it were not a text of the pod's."""
SPEC: Final = {
    "image": "pinacle-busybox",
    "stop_timeout_s": 1,
    "env": {"TOLD": TOLD},
    "ports": [{"container": 80}],
}
OF_THE_POD: Final = {"Image": "pinacle-busybox", "Cmd": ["sh"]}
OF_INIT: Final = {"Type": "bind", "Source": INIT, "Target": "/x", "ReadOnly": True}
VOLUME: Final = {"Name": "pinacle-vol-x-y", "Driver": "local", "Labels": {}}
OF_HOST: Final = {"type": "none", "o": "bind", "device": "/etc"}


class Connection(HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket(AF_UNIX, SOCK_STREAM)
        self.sock.connect(str(self._path))


class Proxied(WorkerProcess):
    """A worker with its proxy, which ends after it."""

    def __init__(self, folder: Path, settings: dict[str, str], name: str) -> None:
        self.socket = folder / "proxy.sock"
        engine = settings["DOCKER_HOST"].removeprefix("unix://")
        self._env = {
            "PATH": os.environ["PATH"],
            "PROXY": str(self.socket),
            "ENGINE": engine,
            "DATA_ROOT": str(Path(engine).parent / "data"),
            "INIT": INIT,
        }
        self._log = folder / "proxy.log"
        mine = {"DOCKER_HOST": f"unix://{self.socket}", "PINACLE_INIT_PATH": INIT, "PINACLE_EGRESS": "open"}
        super().__init__(folder, {**settings, **mine}, name)

    def start(self) -> None:
        packages.require("haproxy")
        command = [packages.find("haproxy") or "haproxy", "-db", "-f", str(CONFIG)]
        with self._log.open("w") as log:
            self._proxy = subprocess.Popen(command, env=self._env, stdout=log, stderr=log)
        wait_until(self.socket.exists, 20, what="the proxy listens", failed=self._proxy_failed)
        super().start()

    def _proxy_failed(self) -> str | None:
        return None if self._proxy.poll() is None else self._log.read_text()

    def stop(self) -> int:
        try:
            return super().stop()
        finally:
            self._proxy.terminate()
            self._proxy.wait(20)


@pytest.fixture(scope="module")
def stack(scratch: Path, settings: dict[str, str]) -> Iterator[Stack]:
    with own_stack(scratch, settings, make_worker=Proxied) as stack:
        yield stack


def test_a_pod_lives_behind_it(stack: Stack) -> None:
    """It is created, keeps data and programs over an update and the loss of its container, and is deleted."""
    engine = stack.engine
    with Pod.running(stack.client, engine, "lives", SPEC) as pod:
        pod.sh("echo kept > /home/file; mkdir /mine; echo kept > /mine/file; echo kept > /usr/file")
        assert pod.sh('echo "$TOLD"') == TOLD
        renamed = {**SPEC, "hostname": "other"}
        updated = pod.call("update", renamed)
        assert (updated["phase"], updated["kept"]) == ("running", ["/mine"])
        files = ("/home/file", "/mine/file", "/usr/file")
        assert [pod.sh(f"cat {path}") for path in files] == ["kept"] * 3
        lost = pod.container_id()
        engine.docker("rm", "-f", pod.container)
        wait_until(lambda: pod.container_id() not in (None, lost) and pod.is_up(), 60, what="it is back")
        assert [pod.sh(f"cat {path}") for path in files] == ["kept"] * 3
        assert pod.call("stop")["phase"] == "stopped"
        assert pod.call("start")["phase"] == "running"
        assert pod.call("update", {**renamed, "tier": "dev.medium"})["phase"] == "running"
    assert "pinacle-vol-lives" not in engine.docker("volume", "ls", "-q")


def _create(host: dict[str, Any]) -> tuple[str, str, Any]:
    return "POST", "/v1.41/containers/create?name=pinacle-x", {**OF_THE_POD, "HostConfig": host}


def _bind(**mount: Any) -> tuple[str, str, Any]:
    return _create({"Mounts": [{"Type": "bind", "Source": "/etc", "Target": "/x", **mount}]})


def _volume(**volume: Any) -> tuple[str, str, Any]:
    return "POST", "/v1.41/volumes/create", {**VOLUME, **volume}


REFUSED: Final[dict[str, tuple[str, str, Any]]] = {
    "a container with all rights": _create({"Privileged": True}),
    "the same in other letters": _create({"privileged": True}),
    "a directory of the host": _bind(),
    "a directory of the host, read-only": _bind(ReadOnly=True),
    "the init's path first, and then another": (
        "POST",
        "/v1.41/containers/create?name=pinacle-x",
        json.dumps({**OF_THE_POD, "HostConfig": {"Mounts": [{**OF_INIT, "source": "/etc"}]}}),
    ),
    "a directory of the host, the old way": _create({"Binds": ["/etc:/x"]}),
    "by a volume's driver": _create(
        {
            "Mounts": [
                {
                    "Type": "volume",
                    "Source": "v",
                    "Target": "/x",
                    "VolumeOptions": {"DriverConfig": {"Name": "local", "Options": OF_HOST}},
                }
            ]
        }
    ),
    "the host's processes": _create({"PidMode": "host"}),
    "the host's network": _create({"NetworkMode": "host"}),
    "another container's network": _create({"NetworkMode": "container:x"}),
    "a device": _create({"Devices": [{"PathOnHost": "/dev/sda"}]}),
    "a capability": _create({"CapAdd": ["SYS_ADMIN"]}),
    "no confinement": _create({"SecurityOpt": ["apparmor=unconfined"]}),
    "a key in escapes": (
        "POST",
        "/v1.41/containers/create?name=pinacle-x",
        '{"Image": "pinacle-busybox", "HostConfig": {"\\u0050rivileged": true}}',
    ),
    "a key with a letter that is folded": _create({"Bind\u017f": ["/etc:/x"]}),
    "the same, as it is": (
        "POST",
        "/v1.41/containers/create?name=pinacle-x",
        json.dumps({**OF_THE_POD, "HostConfig": {"Bind\u017f": ["/etc:/x"]}}, ensure_ascii=False),
    ),
    "a key with the sign for Kelvin": _create({"Networ\u212aMode": "host"}),
    "the kernel's settings": _create({"MaskedPaths": [], "ReadonlyPaths": []}),
    "mounts twice": (
        "POST",
        "/v1.41/containers/create?name=pinacle-x",
        json.dumps({**OF_THE_POD, "HostConfig": {"Mounts": [OF_INIT]}})[:-2]
        + ', "Mounts": [{"Source": "/etc", "ReadOnly": false}]}}',
    ),
    "a volume of somebody else's": _create(
        {"Mounts": [{"Type": "volume", "Source": "theirs", "Target": "/x"}]}
    ),
    "more than what is looked at": (
        "POST",
        "/v1.41/containers/create?name=pinacle-x",
        f'{{"Image": "pinacle-busybox", {" " * 1_100_000}"HostConfig": {{"Privileged": true}}}}',
    ),
    "a container of another name": ("POST", "/v1.41/containers/create?name=x", OF_THE_POD),
    "a volume of the host's": _volume(DriverOpts=OF_HOST),
    "a layer over the host's": _volume(
        DriverOpts={"type": "overlay", "device": "overlay", "o": "lowerdir=/etc,upperdir=/a,workdir=/b"}
    ),
    "a volume of another name": _volume(Name="x", DriverOpts={}),
    "a network of the host's card": (
        "POST",
        "/v1.41/networks/create",
        {"Name": "x", "Driver": "macvlan", "Options": {"parent": "eth0"}},
    ),
    "an image from an address": ("POST", "/v1.41/images/create?fromSrc=http://127.0.0.1/x&repo=x", {}),
    "rights for one that runs": (
        "POST",
        "/v1.41/containers/x/update",
        {"Devices": [{"PathOnHost": "/dev/sda"}]},
    ),
    "a program in a container": ("POST", "/v1.41/containers/x/exec", {"Cmd": ["sh"]}),
    "an old way to start one": ("POST", "/v1.18/containers/x/start", {"Privileged": True}),
    "something to start one with": ("POST", "/v1.41/containers/x/start", {"Privileged": True}),
    "another's volume removed": ("DELETE", "/v1.41/volumes/x", None),
    "a container's changes as an image": ("POST", "/v1.41/commit?container=x", {}),
    "an image sent away": ("POST", "/v1.41/images/x/push", {}),
    "an image removed": ("DELETE", "/v1.41/images/x", None),
    "a prune": ("POST", "/v1.41/volumes/prune", {}),
    "a swarm": ("POST", "/v1.41/swarm/init", {}),
    "a plugin": ("POST", "/v1.41/plugins/pull", {}),
    "a build": ("POST", "/v1.41/build", {}),
    "an attached terminal": ("POST", "/v1.41/containers/x/attach", {}),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_worker_never_asks_for_is_refused(stack: Stack, what: str) -> None:
    method, path, body = REFUSED[what]
    assert _status(stack, method, path, body) == 403


def test_a_body_in_pieces_is_refused(stack: Stack) -> None:
    """Because its length is not known."""
    assert isinstance(stack.worker, Proxied)
    connection = Connection(stack.worker.socket)
    try:
        text = json.dumps(OF_THE_POD).encode()
        path = "/v1.41/containers/create?name=pinacle-x"
        connection.request(
            "POST", path, iter([text]), encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
        )
        assert connection.getresponse().status == 403
    finally:
        connection.close()


def test_the_longest_spec_passes(stack: Stack) -> None:
    """Everything that a pod may be given, in texts that are hard to parse."""
    env = {f"NAME{number}": '\\"{,": \n' * 60 for number in range(150)}
    with Pod.running(stack.client, stack.engine, "long", {**SPEC, "env": env}) as pod:
        assert pod.sh('printf %s "$NAME149"') == env["NAME149"].rstrip("\n")


def test_what_is_refused_by_its_body_alone_would_pass_without_that(stack: Stack) -> None:
    """So the requests in the test above are refused for the reason that it names."""
    method, path, body = _create({"Mounts": [OF_INIT]})
    assert _status(stack, method, path, body) == 201
    assert _status(stack, "DELETE", "/v1.41/containers/pinacle-x", None) == 204
    assert _status(stack, *_volume(DriverOpts={})) == 201
    assert _status(stack, "DELETE", f"/v1.41/volumes/{VOLUME['Name']}", None) == 204


def _status(stack: Stack, method: str, path: str, body: Any) -> int:
    assert isinstance(stack.worker, Proxied)
    connection = Connection(stack.worker.socket)
    text = body if isinstance(body, str) else json.dumps(body)
    try:
        headers = {"Content-Type": "application/json"}
        # It answers as soon as the body is too long for it, and does not take the rest.
        with suppress(BrokenPipeError):
            connection.request(method, path, None if body is None else text.encode(), headers)
        return connection.getresponse().status
    finally:
        connection.close()
