"""What others see of a task's arguments: never a value of `env`."""

import json

import pytest

from worker.telemetry.redaction import redacted_arguments

CANARY = "canary-5f1d"


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (["pod", {"image": "i", "env": {"KEY": CANARY}}], {}),
        ([], {"pod_id": "pod", "spec": {"image": "i", "env": {"KEY": CANARY}}}),
        (["pod", {"image": "i", "envv": {"KEY": CANARY}}], {}),
        (["pod", {"image": "i", "env": [f"KEY={CANARY}"]}], {}),
        (["pod", {"image": "i", "environment": CANARY}], {}),
        (["pod", [{"env": {"KEY": CANARY}}]], {}),
        (["pod", json.dumps({"image": "i", "env": {"KEY": CANARY}})], {}),
        (["pod", {"image": {"env": {"KEY": CANARY}}}], {}),
        (["pod", {"image": "i", "ports": [{"container": 1, "secret": CANARY}]}], {}),
        (["pod", {"image": "i", "command": f"serve --password {CANARY}"}], {}),
        (["pod"], {f"a key of {CANARY}": 1}),
    ],
)
def test_no_value_of_env_is_shown_even_if_it_is_misspelt(
    args: list[object], kwargs: dict[str, object]
) -> None:
    shown = "".join(redacted_arguments(args, kwargs))
    assert CANARY not in shown
    assert "pod" in shown


def test_names_and_the_rest_of_the_spec_are_shown() -> None:
    shown = redacted_arguments(["pod", {"image": "debian", "env": {"KEY": CANARY}}], {})[0]
    assert shown == "['pod', {'image': 'debian', 'env': {'KEY': '***'}}]"
