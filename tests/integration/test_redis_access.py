"""Redis with TLS, with a password of odd characters, and a web app that may only send and read."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import kombu.transport
import pytest
from redis import Redis
from redis.exceptions import NoPermissionError

from tests.support.commands import Pinacle, statuses
from tests.support.pods import Pod
from tests.support.worker import ROOT, WorkerProcess
from worker.local.client import Client
from worker.local.packages import find
from worker.local.private_engine import PrivateEngine
from worker.local.redis import free_port, is_listening
from worker.local.waiting import wait_until

PASSWORD: Final = "a/b+c==@#%41?&:[ x'"  # noqa: S105 - of the Redis below
WEB_PASSWORD: Final = "the-web-apps"  # noqa: S105 - of the Redis below


def acl_line() -> str:
    """Return the line of the docs for a web app, with a password in it."""
    found = re.search(r"^user webapp .*$", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)
    assert found is not None, "the docs have no line for a web app"
    return found[0].replace("CHOSEN", WEB_PASSWORD)


@pytest.fixture(scope="module")
def certificate(scratch: Path) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key beside it."""
    path = scratch / "redis.crt"
    made = f"{find('openssl')} req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=redis"
    files = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{path}.key", "-out", str(path)]
    subprocess.run([*made.split(), *files], check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def secure_port(scratch: Path, certificate: Path) -> Iterator[int]:
    """Debian's Redis, with TLS only; the embedded one has no TLS."""
    folder, port = scratch / "secure", free_port()
    folder.mkdir()
    users = ["user default on >" + '"' + PASSWORD + '"', acl_line()]
    lines = [
        "port 0",
        f"tls-port {port}",
        f"tls-cert-file {certificate}",
        f"tls-key-file {certificate}.key",
        f"tls-ca-cert-file {certificate}",
        "tls-auth-clients no",
        "bind 127.0.0.1",
        f"dir {folder}",
        "appendonly yes",
        "appendfsync always",
        "maxmemory-policy noeviction",
        f'requirepass "{PASSWORD}"',
        *users[1:],
    ]
    (folder / "redis.conf").write_text("\n".join(lines) + "\n")
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [find("redis-server") or "redis-server", str(folder / "redis.conf")], stdout=log, stderr=log
        )
    try:
        wait_until(
            lambda: is_listening(port),
            20,
            what="Redis by TLS",
            failed=lambda: (folder / "log").read_text() if server.poll() is not None else None,
        )
        yield port
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture(scope="module")
def settings(settings: dict[str, str], secure_port: int, certificate: Path) -> dict[str, str]:
    return {
        **settings,
        "PINACLE_REDIS_URL": f"rediss://127.0.0.1:{secure_port}/0",
        "PINACLE_REDIS_PASSWORD": PASSWORD,
        "PINACLE_REDIS_CA": str(certificate),
    }


def url_of(port: int, certificate: Path, user: str, password: str) -> str:
    checked = f"ssl_cert_reqs=required&ssl_ca_certs={certificate}"
    return f"rediss://{user}:{quote(password, safe='')}@127.0.0.1:{port}/0?{checked}"


@pytest.fixture(scope="module")
def none_of_ours() -> Iterator[None]:
    """Use Celery as a web app does: other tests in this process load our transport to Redis."""
    with pytest.MonkeyPatch.context() as patch:
        for scheme in ("redis", "rediss"):
            patch.setitem(kombu.transport.TRANSPORT_ALIASES, scheme, "kombu.transport.redis:Transport")
        patch.setattr(kombu.transport, "_transport_cache", {})
        yield


@pytest.fixture(scope="module")
def client(
    pod_worker: WorkerProcess, secure_port: int, certificate: Path, none_of_ours: None
) -> Iterator[Client]:
    """A web app's client, with its own user."""
    client = Client(url_of(secure_port, certificate, "webapp", WEB_PASSWORD))
    yield client
    client.close()


@pytest.fixture(scope="module")
def web(client: Client, secure_port: int, certificate: Path) -> Iterator[Any]:
    with Redis.from_url(
        url_of(secure_port, certificate, "webapp", WEB_PASSWORD), decode_responses=True
    ) as redis:
        yield redis


def test_a_pod_lives_by_what_the_web_app_sends(
    client: Client, engine: PrivateEngine, busybox: str, settings: dict[str, str], pod_worker: WorkerProcess
) -> None:
    """This goes through worker, results and command line; neither password is in the log."""
    with Pod.running(client, engine, "secure", {"image": busybox}):
        pinacle = Pinacle(settings)
        assert "secure" in pinacle("pods", "list").out
        assert pinacle("pods", "restart", "secure", "--force", "--json").json()["phase"] == "running"
        report = pinacle("doctor", "--json", code=None).json()
        assert "fail" not in statuses(report).values(), report
    assert PASSWORD not in pod_worker.text()
    assert quote(PASSWORD, safe="") not in pod_worker.text()


def test_the_web_app_follows_changes_and_may_do_nothing_else(web: Any) -> None:
    """It can neither read nor change what others send, nor records, which contain env."""
    assert web.xrevrange("pinacle:events", count=1)
    assert web.xread({"pinacle:events": "0-0"}, count=1)
    web.xread({"pinacle:events": "$", "pinacle:progress": "$"}, count=1)
    for forbidden in (
        ("lrange", "pods", 0, -1),
        ("rpop", "pods"),
        ("lpush", "pods.other", "x"),
        ("hgetall", "pinacle:pod:secure"),
        ("keys", "*"),
        ("scan", 0),
        ("xadd", "pinacle:events", "*", "a", "b"),
        ("set", "celery-task-meta-x", "{}"),
        ("del", "pods"),
        ("eval", "return 1", 0),
        ("config", "get", "*"),
        ("flushall",),
        ("acl", "list"),
        ("psubscribe", "*"),
        ("subscribe", "pinacle:changes"),
        ("monitor",),
    ):
        with pytest.raises(NoPermissionError):
            web.execute_command(*forbidden)


@pytest.mark.parametrize(
    "change",
    [{"PINACLE_REDIS_CA": "/etc/ssl/certs/ca-certificates.crt"}, {"host": "localhost"}],
    ids=["of an unknown authority", "for another host"],
)
def test_a_certificate_that_is_not_right_is_refused(settings: dict[str, str], change: dict[str, str]) -> None:
    """By the command line, before the password is sent; with the reason, and not with the password."""
    host = change.get("host", "127.0.0.1")
    url = settings["PINACLE_REDIS_URL"].replace("127.0.0.1", host)
    wrong = Pinacle(
        {**settings, "PINACLE_REDIS_URL": url, **{k: v for k, v in change.items() if k != "host"}}
    )
    line = wrong("pods", "list", code=4).error()
    assert "certificate verify failed" in line
    assert PASSWORD not in line
