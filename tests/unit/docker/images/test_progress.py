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


WITH_OWN_STORE: Final = [
    {"status": "Pulling from big/base", "id": "1"},
    line("Already exists", "4aa0"),
    line("Pulling fs layer", "b0c1"),
    line("Pulling fs layer", "c2d3"),
    line("Waiting", "c2d3"),
    line("Downloading", "b0c1", 41_000, 4_001_382),
    line("Downloading", "b0c1", 983_040, 4_001_382),
    line("Verifying Checksum", "b0c1"),
    line("Download complete", "b0c1"),
    line("Extracting", "b0c1", 65_536, 4_001_382),
    # So small that its size is never told.
    line("Download complete", "c2d3"),
    line("Pull complete", "b0c1"),
    line("Pull complete", "c2d3"),
    {"status": "Digest: sha256:5b0f"},
    {"status": "Status: Downloaded newer image for 127.0.0.1:5001/big/base:1"},
]
"""An Engine with Docker's own store of images, as 20.10 has it."""
WITH_CONTAINERD: Final = [
    {"status": "Pulling from big/base", "id": "1"},
    line("Pulling fs layer", "4aa0"),
    line("Pulling fs layer", "b0c1"),
    line("Already exists", "4aa0"),
    line("Downloading", "b0c1", 1_048_576, 4_001_382),
    line("Download complete", "b0c1"),
    # Seconds, and no bytes.
    {"status": "Extracting", "id": "b0c1", "progressDetail": {"current": 1, "units": "s"}},
    {"status": "Digest: sha256:5b0f"},
]
"""With containerd's store, where not every layer is said to be complete."""


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
        (WITH_OWN_STORE, 1, (0, 0, 0, 0)),
        (WITH_OWN_STORE, 5, (0, 0, 1, 3)),
        (WITH_OWN_STORE, 7, (983_040, 4_001_382, 1, 3)),
        (WITH_OWN_STORE, 8, (4_001_382, 4_001_382, 1, 3)),
        (WITH_OWN_STORE, 10, (4_001_382, 4_001_382, 1, 3)),
        (WITH_OWN_STORE, None, (4_001_382, 4_001_382, 3, 3)),
        (WITH_CONTAINERD, 5, (1_048_576, 4_001_382, 1, 2)),
        (WITH_CONTAINERD, None, (4_001_382, 4_001_382, 1, 2)),
    ],
)
def test_bytes_and_layers(lines: list[Line], after: int | None, expected: tuple[int, ...]) -> None:
    assert counts(taken(lines[:after]).now()) == expected


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
