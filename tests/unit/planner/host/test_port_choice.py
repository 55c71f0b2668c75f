"""Host ports: the requested one, the one before, or a free one; never another pod's."""

from zlib import crc32

import pytest

from worker.errors import PortTakenError, RangeUsedUpError
from worker.planner.host.port_choice import (
    asks_for_wildcard,
    choose_ports,
    chosen_and_taken,
    ports_to_look_at,
)
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
    """In the words of Engine 20.10 to 28; if it names none of ours, all that were chosen."""
    ports = (port(8080), port(20001, container=81), port(20002, container=82))
    intent = Intent(kind=IntentKind.RUNNING, generation=1, spec=spec(8080, None, None), ports=ports)
    assert {p.host for p in chosen_and_taken(intent, text)} == moved


def test_where_a_choice_begins_goes_by_pod_and_port() -> None:
    """So that two pods, and two ports of one pod, rarely try the same ports first."""
    free = range(20000, 21000)

    def begins(pod_id: str, *hosts: int | None) -> list[int]:
        chosen = choose_ports(pod_id, spec(*hosts), before=(), reserved=(), free=free)
        return [each.host for each in chosen]

    firsts = [begins(f"pod-{number}", None)[0] for number in range(20)]
    assert len(set(firsts)) >= 18
    assert begins("pod", None, None) == [
        free[crc32(f"pod:{number}".encode()) % len(free)] for number in range(2)
    ]


def test_the_next_ones_are_looked_at_in_their_order() -> None:
    free = range(20000, 20010)
    first = free[crc32(b"pod:0") % len(free)]
    following = [free[(first - free.start + offset) % len(free)] for offset in range(len(free))]
    for known in range(len(free)):
        reserved = [(port(host), "other") for host in following[:known]]
        chosen = choose_ports("pod", spec(None), before=(), reserved=reserved, free=free)
        assert chosen[0].host == following[known]


def test_no_port_is_chosen_of_which_it_is_not_known_whether_it_is_free() -> None:
    """Only some ports of a wide range are looked up in the store; a range may be narrower than that."""
    free = range(20000, 20010)
    first = free[crc32(b"pod:0") % len(free)]
    following = [free[(first - free.start + offset) % len(free)] for offset in range(3)]
    reserved = [(port(host), "other") for host in following]
    with pytest.raises(RangeUsedUpError, match=r"spec.ports\[0\].host: no free port is left"):
        choose_ports("pod", spec(None), before=(), reserved=reserved, free=free, looked=3)
    asked = list(ports_to_look_at("pod", spec(None), before=(), free=free, looked=3))
    assert {each.host for each in asked} == set(following)
    all_of_few = list(ports_to_look_at("pod", spec(None), before=(), free=FREE, looked=100))
    assert {each.host for each in all_of_few} == set(FREE)
    one = choose_ports("pod", spec(None), before=(), reserved=(), free=range(20000, 20001), looked=9)
    assert one[0].host == 20000
    with pytest.raises(RangeUsedUpError):
        choose_ports("pod", spec(None), before=(), reserved=(), free=range(20000, 20000))


@pytest.mark.parametrize(
    ("address", "asks"),
    [("127.0.0.1", False), ("0.0.0.0", True), ("::", True), ("::1", False)],  # noqa: S104
)
def test_a_port_on_all_addresses_is_reported(address: str, asks: bool) -> None:
    ports = (PortSpec(container=80, address=address),)
    assert asks_for_wildcard(PodSpec(image="i", ports=ports)) is asks
    beside = (PortSpec(container=81), *ports)
    assert asks_for_wildcard(PodSpec(image="i", ports=beside)) is asks
    assert not asks_for_wildcard(PodSpec(image="i"))


def test_an_address_of_ipv6_is_named_in_brackets() -> None:
    ports = (port(20001, "::1"), port(20002, "::1", container=81))
    asked = tuple(PortSpec(container=each.container, address=each.address) for each in ports)
    intent = Intent(kind=IntentKind.RUNNING, generation=1, spec=PodSpec(image="i", ports=asked), ports=ports)
    text = "listen tcp6 [::1]:20002: bind: address already in use"
    assert [each.host for each in chosen_and_taken(intent, text)] == [20002]
    bare = "20002 on ::1:20002 is taken"
    assert [each.host for each in chosen_and_taken(intent, bare)] == [20001, 20002]


def test_without_a_spec_no_port_was_chosen() -> None:
    intent = Intent(kind=IntentKind.RUNNING, generation=1, spec=None, ports=(port(20001),))
    assert chosen_and_taken(intent, "127.0.0.1:20001 is taken") == ()


def test_a_port_that_is_asked_for_is_the_one_to_look_at() -> None:
    """Whatever the pod had before."""
    asked = ports_to_look_at("pod", spec(8080), before=(port(20002),), free=FREE, looked=3)
    assert {each.host for each in asked} == {8080}
    had = ports_to_look_at("pod", spec(None), before=(port(20002),), free=FREE, looked=3)
    assert {each.host for each in had} == {20002}
