"""Which pods are found, what is said of each, and how wrong questions are refused."""

from typing import Any, Final

import pytest

from tests.support.fake_store import FakeStore
from tests.support.situations import ON_POOL, OWN, deleting_pod, pod, tombstone
from worker.errors import InvalidInputError
from worker.interfaces import DiskUse
from worker.pods.model import Record
from worker.pods.results import pod_result
from worker.pods.spec import PodSpec
from worker.service.disk_use import disk_use
from worker.service.listing import FIELDS, parse_listing
from worker.service.patience import Patience
from worker.service.queries import Queries

NOBODY: Final[Any] = None


class Idle:
    """Passes that repair nothing."""

    def recovering(self) -> None:
        return None


def named(pod_id: str, record: Record | None = None, host: str = "here", **labels: str) -> Record:
    made = record or pod(intent={"spec": PodSpec(image="image", labels=labels)})
    return Record(pod_id=pod_id, host=host, intent=made.intent, state=made.state)


RECORDS: Final = (
    named("d", deleting_pod()),
    named("a", team="x", stage="live"),
    named("b", team="x", host="there"),
    named("B", team="y"),
    named("gone", tombstone()),
    named("c"),
)


def queries(*records: Record, uses: dict[str, DiskUse] | None = None) -> Queries:
    store = FakeStore()
    store.disk_uses["here"] = uses or {}
    store.records = {record.pod_id: record for record in records}
    nobody: dict[str, Any] = {"engine": NOBODY, "inside": NOBODY, "installation": OWN, "host": "here"}
    passes: Any = Idle()
    patience = Patience(dispatcher=NOBODY, task_wait_s=1.0)
    return Queries(**nobody, store=store, passes=passes, patience=patience)


def asked(**given: Any) -> Any:
    arguments = dict.fromkeys(("labels", "phase", "host", "fields", "after", "limit"))
    return parse_listing(**{"orphans": False, **arguments, **given})


async def found(**given: Any) -> list[str]:
    return [each["pod_id"] for each in (await queries(*RECORDS).list(asked(**given)))["pods"]]


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ({}, "B a b c d"),
        ({"labels": {}}, "B a b c d"),
        ({"labels": {"team": "x"}}, "a b"),
        ({"labels": {"team": None}}, "B a b"),
        ({"labels": {"team": "x", "stage": None}}, "a"),
        ({"labels": {"team": "z"}}, ""),
        ({"host": "there"}, "b"),
        ({"host": "nowhere"}, ""),
        ({"phase": "running"}, "B a b c"),
        ({"phase": ["deleting", "failed"]}, "d"),
        ({"phase": []}, ""),
        ({"after": "a"}, "b c d"),
        ({"after": "aa"}, "b c d"),
        ({"after": "d"}, ""),
        ({"labels": {"team": "x"}, "host": "here"}, "a"),
    ],
    ids=str,
)
async def test_what_is_found(given: dict[str, Any], ids: str) -> None:
    assert await found(**given) == ids.split()


async def test_without_a_limit_the_answer_is_what_it_was() -> None:
    answer = await queries(*RECORDS).list()
    assert answer.keys() == {"pods"}
    assert answer["pods"][1] == pod_result(RECORDS[1]) | disk_use(RECORDS[1], None, OWN)


async def test_what_pods_have_on_the_disk_is_listed() -> None:
    """As their hosts have noted it, with the limit of a pool where there is one."""
    first, *others = sorted(RECORDS, key=lambda record: record.pod_id != "a")
    on_pool = first.evolve(state=first.state.evolve(system=ON_POOL))
    own = queries(on_pool, *others, uses={"a": DiskUse(used=7, measured_at=60.0, limit=5)})
    pods = {pod["pod_id"]: pod for pod in (await own.list())["pods"]}
    keys = ("disk_bytes", "disk_limit_bytes", "disk_measured_at", "over_quota")
    assert [pods["a"][key] for key in keys] == [7, 5, "1970-01-01T00:01:00+00:00", True]
    assert [pods["b"][key] for key in keys] == [None, 20 * 10**9, None, None]


async def test_pages_are_all_pods_once() -> None:
    """With whatever limit, and in the same order; records without a pod end no page early."""
    every = await found()
    for limit in range(1, 7):
        seen: list[str] = []
        after = None
        while True:
            answer = await queries(*RECORDS).list(asked(limit=limit, after=after))
            page = [each["pod_id"] for each in answer["pods"]]
            assert len(page) <= limit
            seen += page
            after = answer["next"]
            if after is None:
                break
            assert len(page) == limit
            assert after == page[-1]
        assert seen == every, limit


async def test_a_page_reads_on_until_it_is_full() -> None:
    """Where what is looked for is far behind."""
    many = [named(f"p{number:04}") for number in range(450)]
    rare = [named(f"p{number:04}", team="x") for number in (300, 449)]
    service = queries(*many, *rare)
    answer = await service.list(asked(labels={"team": "x"}, limit=1))
    assert ([each["pod_id"] for each in answer["pods"]], answer["next"]) == (["p0300"], "p0300")
    answer = await service.list(asked(labels={"team": "x"}, limit=1, after="p0300"))
    assert ([each["pod_id"] for each in answer["pods"]], answer["next"]) == (["p0449"], None)


async def test_only_what_is_named_is_answered() -> None:
    answer = await queries(*RECORDS).list(asked(fields=["labels", "phase"], host="there", limit=5))
    assert answer == {"pods": [{"pod_id": "b", "phase": "running", "labels": {"team": "x"}}], "next": None}
    assert set(FIELDS) == (pod_result(RECORDS[1]) | disk_use(RECORDS[1], None, OWN)).keys()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"orphans": 1}, "orphans: 1 is not allowed; allowed: true or false"),
        ({"labels": ["a"]}, "labels: a list is not allowed; allowed: an object"),
        ({"labels": {"a b": "c"}}, "labels: a string of 3 characters is not the name of a label"),
        ({"labels": {"a": 1}}, "labels.a: 1 is not allowed; allowed: an object"),
        ({"phase": "runing"}, "phase: 'runing' is not a phase; allowed: one or a list of pending, running"),
        ({"phase": [["running"]]}, "phase: a list is not a phase"),
        ({"host": 1}, "host: 1 is not allowed"),
        ({"host": ""}, "host: '' is not allowed"),
        ({"fields": "phase"}, "fields: 'phase' is not allowed; allowed: a list of pod_id, "),
        ({"fields": ["env"]}, "fields: 'env' is not allowed"),
        ({"after": 5}, "after: 5 is not allowed; allowed: the 'next' of an answer"),
        ({"limit": 0}, "limit: 0 is not allowed; allowed: a number from 1 to 1000"),
        ({"limit": 1001}, "limit: 1001 is not allowed"),
        ({"limit": True}, "limit: true is not allowed"),
    ],
    ids=str,
)
def test_what_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        asked(**given)
    assert words in str(refused.value)


@pytest.mark.parametrize(("record", "limit"), [(pod(), 20 * 10**9), (pod(system=ON_POOL), 7)])
def test_a_pool_says_itself_what_a_pod_may_have(record: Record, limit: int) -> None:
    """Elsewhere it is what its tier has now, whatever it had when it was measured."""
    found = disk_use(record, DiskUse(used=8, limit=7, measured_at=0.0), OWN)
    assert (found["disk_limit_bytes"], found["over_quota"]) == (limit, limit < 8)
