"""What errors and logs may show of a value."""

from typing import Any

import pytest

from worker.quoting import shown


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("pods.crate", "'pods.crate'"),
        ("", "''"),
        ("registry.example:5000/team/image@sha256", "'registry.example:5000/team/image@sha256'"),
        ("two words", "a string of 9 characters"),
        ('{"env": {"TOKEN": "x"}}', "a string of 23 characters"),
        ("x" * 81, "a string of 81 characters"),
        ("pass=word", "a string of 9 characters"),
        (601, "601"),
        (10**100, "a number"),
        (True, "true"),
        (None, "null"),
        (["secret"], "a list"),
        ({"secret": 1}, "an object"),
    ],
)
def test_a_short_plain_word_or_its_type(value: Any, expected: str) -> None:
    assert shown(value) == expected
