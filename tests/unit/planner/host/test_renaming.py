"""Whose storage a host has, and why pods cannot be given to another name."""

from typing import Final

import pytest

from worker.planner.host.renaming import former_names, rename_refusal

STORAGES: Final = {"old": "s-1", "other": "s-2", "twin": "s-1"}


def test_a_storage_shows_under_which_other_names_it_is_known() -> None:
    assert former_names(STORAGES, "new", "s-1") == ("old", "twin")
    assert former_names(STORAGES, "old", "s-1") == ("twin",)
    assert former_names(STORAGES, "other", "s-2") == ()
    assert former_names(STORAGES, "new", None) == ()


@pytest.mark.parametrize(
    ("old", "new", "live", "told"),
    [
        ("new", "new", (), "new: 'new' is the same name"),
        ("never", "new", (), "old: 'never' is not a host whose storage is known; allowed: old, other, twin"),
        ("old", "new", ("old",), "has a worker with a fresh heartbeat"),
        ("old", "other", (), "other has storage s-2, and the pods of old lie on s-1"),
    ],
)
def test_what_is_refused_names_what_would_be_right(
    old: str, new: str, live: tuple[str, ...], told: str
) -> None:
    assert told in (rename_refusal(STORAGES, frozenset(live), old, new) or "")


@pytest.mark.parametrize("new", ["new", "twin"])
def test_a_host_that_is_gone_gives_its_pods_to_the_name_that_its_storage_has_now(new: str) -> None:
    """Even if an older worker has accepted the storage under the new name already."""
    assert rename_refusal(STORAGES, frozenset({new}), "old", new) is None


def test_no_host_is_named_if_none_is_known() -> None:
    assert (rename_refusal({}, frozenset(), "old", "new") or "").endswith("allowed: none")
