"""What a pod printed is bounded, and holds no value of `env`, whole or in part."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.service.inside.masking import beginning, ending, secrets_in

SECRET = "hunter2-hunter2"  # noqa: S105 - of no real thing
KEY = "-----BEGIN KEY-----\nc2VjcmV0LWxpbmU=\nab\n-----END KEY-----\n"


@pytest.mark.parametrize(
    ("values", "printed", "shown"),
    [
        ([SECRET], f"a {SECRET} b {SECRET}", "a *** b ***"),
        ([SECRET], f"TOKEN={SECRET}\n", "TOKEN=***\n"),
        (["1", "dev", ""], "1 dev PORT=80", "1 dev PORT=80"),
        (["four"], "fourteen four", "***teen ***"),
        ([SECRET, SECRET[:7]], SECRET, "***"),
        (["abcdef", "defghi"], "-abcdefghi-", "-***-"),
        (["abab"], "ababab-abab", "***-***"),
        ([KEY], KEY, "***"),
        ([KEY], "c2VjcmV0LWxpbmU=\nab\n", "***\nab\n"),
        (["schlüssel"], "der schlüssel", "der ***"),
        ([], "nothing to mask", "nothing to mask"),
    ],
)
def test_each_value_is_masked(values: list[str], printed: str, shown: str) -> None:
    assert beginning(printed.encode(), secrets_in(values), 1000) == (shown, True)
    assert ending(printed.encode(), secrets_in(values), 1000) == (shown, True)


def test_what_is_no_text_is_shown_as_far_as_it_can_be() -> None:
    assert ending(b"\xff\x00ok", (), 9) == ("\N{REPLACEMENT CHARACTER}\x00ok", True)


def test_everything_is_shown_if_it_fits() -> None:
    assert beginning(b"12345", (), 5) == ending(b"12345", (), 5) == ("12345", True)


def test_the_beginning_and_the_end_are_what_they_say() -> None:
    assert beginning(b"12345", (), 3) == ("123", False)
    assert ending(b"12345", (), 3) == ("345", False)


@given(
    before=st.text("-", max_size=20),
    after=st.text("-", max_size=20),
    secret=st.text("ab", min_size=4),
    other=st.text("ab", min_size=4),
)
def test_a_cut_shows_no_part_of_a_value(before: str, after: str, secret: str, other: str) -> None:
    """Wherever it goes through it, and whatever other values are parts of it."""
    printed = f"{before}{secret}{after}".encode()
    for most in range(1, len(printed) + 1):
        for part in (beginning, ending):
            shown, _ = part(printed, secrets_in([secret, other]), most)
            assert not set(shown) & {"a", "b"}, (most, shown)
