"""Credentials, from config.json or a helper, go to the registry that they belong to and to no other."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from worker.docker.images.credentials import auth_header

HUB = "https://index.docker.io/v1/"


def auth(user: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:secret".encode()).decode()}


async def user_for(folder: Path, reference: str, config: dict[str, Any]) -> str | None:
    """Return the user in the credentials that the Engine gets for an image."""
    (folder / "config.json").write_text(json.dumps(config))
    header = (await auth_header(folder, reference)).get("X-Registry-Auth")
    return None if header is None else json.loads(base64.urlsafe_b64decode(header))["username"]


@pytest.mark.parametrize(
    ("reference", "user"),
    [
        ("debian", "hub"),
        ("index.docker.io/library/debian", "hub"),
        ("registry.example/x", "mine"),
        ("registry.example:5000/x", None),
        ("localhost/x", None),
        ("LOCALHOST/x:1", None),
        ("REGISTRY.EXAMPLE/x", None),
        ("127.0.0.1/x", None),
    ],
)
async def test_a_registry_gets_its_own(tmp_path: Path, reference: str, user: str | None) -> None:
    auths = {HUB: auth("hub"), "registry.example": auth("mine"), "LOCALHOST": auth("upper")}
    assert await user_for(tmp_path, reference, {"auths": auths}) == user


@pytest.mark.parametrize(
    ("reference", "user"),
    [
        ("registry.example/x", "helped"),
        ("registry.example:5000/x", None),
        ("Registry.example/x", None),
        ("debian", None),
    ],
)
async def test_what_a_helper_finds_for_another_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str, user: str | None
) -> None:
    """Some helpers return the nearest match, or ignore case."""
    helper = tmp_path / "docker-credential-nearest"
    answer = {"ServerURL": "https://registry.example/v1/", "Username": "helped", "Secret": "x"}
    helper.write_text(f"#!/bin/sh\ncat > /dev/null\necho '{json.dumps(answer)}'\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert await user_for(tmp_path, reference, {"credsStore": "nearest"}) == user
