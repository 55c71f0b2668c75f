"""What a pod's root may not do to others, and that ordinary programs work without it."""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.conftest import CACHE
from tests.support.pods import Pod
from worker.local.client import Client
from worker.local.images import import_busybox, import_debian
from worker.local.private_engine import PrivateEngine
from worker.local.waiting import wait_until

PROGRAMS: Final = ("iputils-ping", "libcap2-bin", "nginx-light", "openssh-server", "sudo")
MKNOD: Final = 1 << 27
NET_RAW: Final = 1 << 13
"""Bits of include/uapi/linux/capability.h."""
SERVER: Final = "while :; do echo in | nc -l -p 80; done"
PACKAGE: Final = """
mkdir -p /tmp/own/DEBIAN /tmp/own/usr/bin
printf '%s\\n' 'Package: own' 'Version: 1' 'Architecture: all' 'Maintainer: a <a@b>' 'Description: own' \\
    > /tmp/own/DEBIAN/control
printf '#!/bin/sh\\necho works\\n' > /tmp/own/usr/bin/own
chmod 755 /tmp/own/usr/bin/own
dpkg-deb -b /tmp/own /tmp/own.deb > /dev/null
apt-get install -y /tmp/own.deb > /tmp/apt.log 2>&1
own
"""
SSH: Final = """
mkdir -p /run/sshd /home/someone/.ssh
useradd -s /bin/bash -d /home/someone someone
ssh-keygen -q -t ed25519 -N '' -f /root/key
cp /root/key.pub /home/someone/.ssh/authorized_keys
chown -R someone: /home/someone
ssh-keygen -A > /dev/null
/usr/sbin/sshd
options="-o StrictHostKeyChecking=no -o LogLevel=ERROR -o ConnectionAttempts=20"
ssh -i /root/key $options someone@127.0.0.1 id -un
"""
"""It listens a little after its first process has ended."""


@pytest.fixture(scope="module")
def pod(client: Client, engine: PrivateEngine) -> Iterator[Pod]:
    import_debian(engine, CACHE, "pinacle-programs", packages=PROGRAMS)
    with Pod.running(client, engine, "programs", {"image": "pinacle-programs", "stop_timeout_s": 1}) as pod:
        yield pod


def test_root_in_a_pod_can_neither_forge_packets_nor_make_devices(
    client: Client, engine: PrivateEngine, busybox: str
) -> None:
    with Pod.running(client, engine, "caged", {"image": busybox, "stop_timeout_s": 1}) as pod:
        (bounding,) = [line for line in pod.sh("cat /proc/self/status").splitlines() if "CapBnd" in line]
        assert int(bounding.split()[1], 16) & (MKNOD | NET_RAW) == 0
        assert pod.sh("mknod /root/disk b 8 0 2>&1 || echo refused").endswith("refused")


def _answer(pod: Pod, address: str) -> str:
    return pod.sh(f"nc -w 2 {address} 80 < /dev/null || echo refused")


def test_pods_reach_each_other_neither_by_ipv4_nor_by_ipv6(
    client: Client, engine: PrivateEngine, busybox: str
) -> None:
    """Docker gives a pod an IPv6 address, link-local ones included, only on a network made for it."""
    serving = {
        "image": busybox,
        "stop_timeout_s": 1,
        "command": ["sh", "-c", SERVER],
    }
    with (
        Pod.running(client, engine, "serves", serving) as serves,
        Pod.running(client, engine, "calls", {"image": busybox, "stop_timeout_s": 1}) as calls,
    ):
        address = engine.docker(
            "inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", serves.container
        ).strip()
        wait_until(lambda: _answer(serves, address) == "in", 10, what="an answer")
        assert _answer(calls, address) == "refused"
        assert calls.sh("grep -v ' lo$' /proc/net/if_inet6 || echo none") == "none"


def test_a_health_check_of_the_image_does_not_run(client: Client, engine: PrivateEngine) -> None:
    busy = "HEALTHCHECK --interval=1ms CMD touch /root/checked"
    image = import_busybox(engine, "pinacle-checked", changes=(busy,))
    with Pod.running(client, engine, "checked", {"image": image, "stop_timeout_s": 1}) as pod:
        health = engine.docker(
            "inspect", "--format", "{{json .State.Health}} {{.Config.Healthcheck.Test}}", pod.container
        )
        assert health.split() == ["null", "[NONE]"]


def test_apt_installs(pod: Pod) -> None:
    assert pod.sh(PACKAGE) == "works"


def test_sshd_lets_in_and_sudo_makes_root(pod: Pod) -> None:
    assert pod.sh(SSH) == "someone"
    pod.sh("echo 'someone ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/someone")
    assert pod.sh("su someone -c 'sudo -n id -u'") == "0"


def test_nginx_serves(pod: Pod) -> None:
    pod.sh("nginx")
    answer = pod.sh(
        "bash -c 'exec 3<>/dev/tcp/127.0.0.1/80; printf \"GET / HTTP/1.0\\r\\n\\r\\n\" >&3; head -1 <&3'"
    )
    assert "200 OK" in answer


def test_ping_works_without_its_file_capability(pod: Pod) -> None:
    """As docs/operations.md says: for root and for all others."""
    pod.sh('setcap cap_net_raw+ep "$(readlink -f /usr/bin/ping)"')
    assert pod.sh("ping -c 1 127.0.0.1 2>&1 || true").endswith("Operation not permitted")
    pod.sh('setcap -r "$(readlink -f /usr/bin/ping)"')
    for user in ("root", "nobody"):
        assert "1 received" in pod.sh(f"su -s /bin/sh {user} -c 'ping -c 1 127.0.0.1'")
