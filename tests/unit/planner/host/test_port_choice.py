"""Host ports: the one that was asked for, the one before, or a free one; never another pod's."""

import pytest

from worker.errors import PortTakenError
from worker.planner.host.port_choice import choose_ports, chosen_and_taken
from worker.pods.model import Intent, IntentKind, PublishedPort
from worker.pods.spec import PodSpec, PortSpec

FREE = range(20000, 20003)


def port(host: int, address: str = "127.0.0.1", container: int = 80) -> PublishedPort:
    return PublishedPort(container=container, host=host, protocol="tcp", address=address)


def choose(
    spec: PodSpec,
    *,
    before: tuple[PublishedPort, ...] = (),
    taken: tuple[tuple[PublishedPort, str], ...] = (),
) -> tuple[PublishedPort, ...]:
    return choose_ports("pod", spec, before=before, reserved=taken, free=FREE)


def spec(*hosts: int | None) -> PodSpec:
    return PodSpec(image="i", ports=tuple(PortSpec(container=80 + n, host=h) for n, h in enumerate(hosts)))


def test_ports_that_were_not_asked_for_are_free_and_unlike() -> None:
    chosen = choose(spec(None, None, None))
    assert {p.host for p in chosen} == set(FREE)


def test_a_port_that_the_pod_had_stays_its_own() -> None:
    assert choose(spec(None), before=(port(20002),), taken=((port(20002), "pod"),))[0].host == 20002


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::"])  # noqa: S104 - compared, not bound
def test_another_pods_port_is_refused_by_name(address: str) -> None:
    with pytest.raises(PortTakenError, match=r"spec.ports\[0\].host: 8080/tcp .* reserved by pod 'other'"):
        choose(spec(8080), taken=((port(8080, address), "other"),))


def test_another_address_is_another_port() -> None:
    assert choose(spec(8080), taken=((port(8080, "127.0.0.2"), "other"),))[0].host == 8080


def test_a_range_that_is_used_up_says_so() -> None:
    with pytest.raises(PortTakenError, match="no free port is left in 20000-20002"):
        choose(spec(None), taken=tuple((port(host), "other") for host in FREE))


def test_what_programs_of_the_host_have_is_not_chosen() -> None:
    found = choose_ports(
        "pod", spec(None), before=(), reserved=(), free=FREE, avoid=(port(20000), port(20002))
    )
    assert found[0].host == 20001


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("Error starting userland proxy: listen tcp4 127.0.0.1:20001: bind: address already in use", {20001}),
        ("Bind for 127.0.0.1:20001 failed: port is already allocated", {20001}),
        ("failed to bind host port for 127.0.0.1:20002:172.17.0.2:82/tcp: address already in use", {20002}),
        ("listen tcp4 127.0.0.1:8080: bind: address already in use", set()),
        ("some port is already allocated", {20001, 20002}),
        ("listen tcp4 127.0.0.1:200011: bind: address already in use", {20001, 20002}),
    ],
)
def test_only_chosen_ports_that_the_engine_names_are_moved(text: str, moved: set[int]) -> None:
    """In the words of Engine 20.10 to 28; where it names none of ours, all that were chosen."""
    ports = (port(8080), port(20001, container=81), port(20002, container=82))
    intent = Intent(kind=IntentKind.RUNNING, generation=1, spec=spec(8080, None, None), ports=ports)
    assert {p.host for p in chosen_and_taken(intent, text)} == moved
