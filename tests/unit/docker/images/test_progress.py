"""What is said of a pull, from what Engines send."""

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.docker.images.progress import PullProgress
from worker.interfaces import Progress

Line = dict[str, Any]


def line(status: str, name: str | None = None, current: int | None = None, total: int | None = None) -> Line:
    detail = {key: value for key, value in (("current", current), ("total", total)) if value is not None}
    return {"status": status, "progressDetail": detail} | ({} if name is None else {"id": name})


SIZE: Final = 4_001_461
ENGINE_20: Final = [
    {"status": "Pulling from big/base", "id": "1"},
    line("Already exists", "f40633722b93"),
    line("Pulling fs layer", "f1b2986980aa"),
    line("Downloading", "f1b2986980aa", 65_117, SIZE),
    line("Verifying Checksum", "f1b2986980aa"),
    line("Download complete", "f1b2986980aa"),
    line("Extracting", "f1b2986980aa", 65_536, SIZE),
    line("Extracting", "f1b2986980aa", SIZE, SIZE),
    line("Pull complete", "f1b2986980aa"),
    {"status": "Digest: sha256:6b0dcfcffeab1501a45ddb764dbf84a27bc5b268df0cb358fe0008e28ae2658d"},
    {"status": "Status: Downloaded newer image for 127.0.0.1:5001/big/base:1"},
]
"""What Engine 20.10 sent, without its own drawings; 26.1 sends the same."""
ENGINE_26_WITH_CONTAINERD: Final = [
    {"status": "Pulling from big/base", "id": "1"},
    line("Pulling fs layer", "c33254254f12"),
    line("Downloading", "c33254254f12", 1_048_576, SIZE),
    {
        "status": "Download complete",
        "progressDetail": {"hidecounts": True},
        "id": "c33254254f12",
    },
    {"status": "Digest: sha256:2283413cab53685204a1ce5a6779c0a27a2fced60b2a2ec07b3d7d9f3f92b788"},
    {"status": "Status: Downloaded newer image for 127.0.0.1:5001/big/base:1"},
]
"""What 26.1 sent with containerd's store of images: it does not say of a layer that it is unpacked."""


def taken(lines: list[Line]) -> PullProgress:
    progress = PullProgress("image")
    for each in lines:
        assert progress.take(json.dumps(each).encode()) is None
    return progress


def counts(found: Progress) -> tuple[int, int, int, int]:
    return found.done_bytes, found.total_bytes, found.done_layers, found.total_layers


@pytest.mark.parametrize(
    ("lines", "after", "expected"),
    [
        (ENGINE_20, 1, (0, 0, 0, 0)),
        (ENGINE_20, 3, (0, 0, 1, 2)),
        (ENGINE_20, 4, (65_117, SIZE, 1, 2)),
        (ENGINE_20, 5, (SIZE, SIZE, 1, 2)),
        (ENGINE_20, 8, (SIZE, SIZE, 1, 2)),
        (ENGINE_20, None, (SIZE, SIZE, 2, 2)),
        (ENGINE_26_WITH_CONTAINERD, 3, (1_048_576, SIZE, 0, 1)),
        (ENGINE_26_WITH_CONTAINERD, None, (SIZE, SIZE, 0, 1)),
    ],
)
def test_bytes_and_layers(lines: list[Line], after: int | None, expected: tuple[int, ...]) -> None:
    assert counts(taken(lines[:after]).now()) == expected


@pytest.mark.parametrize("lines", [ENGINE_20, ENGINE_26_WITH_CONTAINERD])
def test_at_the_end_all_of_it_is_there(lines: list[Line]) -> None:
    progress = taken(lines)
    progress.end()
    done_bytes, total_bytes, done_layers, total_layers = counts(progress.now())
    assert (done_bytes, total_bytes) == (SIZE, SIZE)
    assert done_layers == total_layers > 0


def test_a_layer_whose_size_is_never_told_counts_as_a_layer() -> None:
    small = [line("Pulling fs layer", "a"), line("Download complete", "a"), line("Pull complete", "a")]
    assert counts(taken(small).now()) == (0, 0, 1, 1)


def test_a_layer_that_is_begun_again_does_not_go_back() -> None:
    progress = taken([line("Downloading", "a", 900, 1000), line("Retrying in 5 seconds", "a")])
    assert counts(progress.now()) == (900, 1000, 0, 1)
    progress.take(json.dumps(line("Downloading", "a", 10, 1000)).encode())
    assert counts(progress.now()) == (900, 1000, 0, 1)


def test_an_unknown_size_is_what_has_come() -> None:
    for total in (None, -1, 0):
        assert counts(taken([line("Downloading", "a", 700, total)]).now()) == (700, 700, 0, 1)


def test_a_failure_is_returned_in_the_engines_words() -> None:
    progress = PullProgress("image")
    assert progress.take(b'{"errorDetail": {"message": "no"}, "error": "no"}\r\n') == "no"
    assert progress.take(b"\r\n") is None


_STATUSES: Final = [
    *("Pulling fs layer", "Waiting", "Downloading", "Verifying Checksum", "Download complete", "Extracting"),
    *("Pull complete", "Already exists", "Retrying in 1 second", "Pulling from a", "Something new"),
]
_ODD: Final = st.one_of(st.none(), st.integers(-5, 100), st.text(max_size=2))
_LINES: Final = st.lists(
    st.fixed_dictionaries(
        {"status": st.sampled_from(_STATUSES)},
        optional={
            "id": st.one_of(st.sampled_from("abc"), _ODD),
            "progressDetail": st.one_of(
                _ODD, st.fixed_dictionaries({}, optional={"current": _ODD, "total": _ODD})
            ),
        },
    )
)


@given(_LINES)
def test_whatever_is_sent_nothing_exceeds_its_total_or_goes_back(lines: list[Line]) -> None:
    """In whatever order and form; at the end everything is there."""
    progress, before = PullProgress("image"), (0, 0, 0, 0)
    for each in lines:
        progress.take(json.dumps(each).encode())
        now = counts(progress.now())
        assert 0 <= now[0] <= now[1]
        assert 0 <= now[2] <= now[3]
        assert all(one >= other for one, other in zip(now, before, strict=True))
        before = now
    progress.end()
    done_bytes, total_bytes, done_layers, total_layers = counts(progress.now())
    assert (done_bytes, done_layers) == (total_bytes, total_layers) == before[1::2]
