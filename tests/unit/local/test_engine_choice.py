"""Which Engine `make up` uses, given what is noted, what DOCKER_HOST names, and which ones answer."""

from pathlib import Path
from typing import Final

import pytest

from worker.local.engine_choice import WrongEngineError, choose_engine, note_engine

USUAL: Final = "unix:///var/run/docker.sock"
OTHER: Final = "tcp://other:2375"
PRIVATE: Final = "unix:///here/engine/docker.sock"


def choose(note: Path, given: str | None, *up: str) -> str:
    return choose_engine(note, given=given, usual=USUAL, private=PRIVATE, answers=lambda url: url in up)


@pytest.mark.parametrize(
    ("noted", "given", "up", "chosen"),
    [
        # The first time
        (None, None, (USUAL,), USUAL),
        (None, None, (), PRIVATE),
        (None, OTHER, (USUAL, OTHER), OTHER),
        (None, OTHER, (USUAL,), PRIVATE),
        (None, PRIVATE, (PRIVATE, USUAL), PRIVATE),
        # Afterwards: the same, whatever answers by now
        (PRIVATE, None, (USUAL,), PRIVATE),
        (PRIVATE, None, (), PRIVATE),
        (PRIVATE, OTHER, (), PRIVATE),
        (PRIVATE, PRIVATE, (PRIVATE,), PRIVATE),
        (USUAL, None, (USUAL,), USUAL),
        (OTHER, None, (USUAL, OTHER), OTHER),
        (OTHER, OTHER, (OTHER,), OTHER),
    ],
)
def test_it_is_the_one_that_the_pods_are_on(
    tmp_path: Path, noted: str | None, given: str | None, up: tuple[str, ...], chosen: str
) -> None:
    note = tmp_path / "engine-address"
    if noted is not None:
        note_engine(note, noted, private=PRIVATE)
    assert choose(note, given, *up) == chosen


@pytest.mark.parametrize(
    ("noted", "given", "up", "told"),
    [
        (USUAL, None, (), "does not answer"),
        (OTHER, None, (USUAL,), "does not answer"),
        (USUAL, OTHER, (USUAL, OTHER), "which has none of them"),
        (PRIVATE, USUAL, (USUAL,), "Leave DOCKER_HOST out"),
    ],
)
def test_it_is_never_another_one(
    tmp_path: Path, noted: str, given: str | None, up: tuple[str, ...], told: str
) -> None:
    """And the error says how to decide."""
    note = tmp_path / "engine-address"
    note_engine(note, noted, private=PRIVATE)
    with pytest.raises(WrongEngineError, match=told) as raised:
        choose(note, given, *up)
    assert str(note) in str(raised.value)


def test_a_private_engine_from_before_there_was_a_note_is_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "engine" / "data").mkdir(parents=True)
    assert choose(tmp_path / "engine-address", None, USUAL) == PRIVATE
