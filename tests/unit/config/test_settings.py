"""The settings are consistent, and docs/settings.md describes them as they are."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from config.settings import Settings, SettingsError, settings, unknown_variables
from config.tiers import TIER_STORAGE, TIERS, storage_by_tier

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def _read_again() -> Iterator[None]:
    settings.cache_clear()
    yield
    settings.cache_clear()


def documented() -> dict[str, tuple[str, str]]:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (?:`([^`]*)`)? ?\| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    return {name: (default, text) for name, default, text in rows}


def shown_default(field: FieldInfo) -> str:
    """Return a default as a person would write it into the environment; empty for None."""
    value = field.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def test_the_docs_describe_every_setting_as_it_is() -> None:
    """With name, default and meaning; and no setting that does not exist."""
    told = documented()
    assert len(told) == len(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        default, text = told[str(field.validation_alias or f"PINACLE_{name.upper()}")]
        assert text == field.description
        if name != "docker_config":  # its default is a home directory, which differs
            assert default == shown_default(field)


def test_a_lease_shorter_than_a_step_is_refused() -> None:
    """No step may outlive its lease."""
    with pytest.raises(ValueError, match=r"PINACLE_LEASE_TTL_S .* must be greater"):
        Settings(lease_ttl_s=5, step_deadline_s=5)


@pytest.mark.parametrize("url", ["127.0.0.1:6379", "http://:canary@127.0.0.1", "canary"])
def test_an_address_that_is_no_redis_is_refused_and_not_repeated(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may contain a mistyped password."""
    monkeypatch.setenv("PINACLE_REDIS_URL", url)
    with pytest.raises(SettingsError, match="PINACLE_REDIS_URL: not a Redis's address") as caught:
        settings()
    assert url not in str(caught.value)


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("PINACLE_REDIS_ULR", "PINACLE_REDIS_URL"),
        ("PINACLE_REDIS_RL", "PINACLE_REDIS_URL"),
        ("PINACLE_HOST", "PINACLE_HOSTS"),
        ("PINACLE_IMAGE", "PINACLE_IMAGES"),
        ("PINACLE_METRIC_PORTS", "PINACLE_METRICS_PORT"),
        ("PINNACLE_REDIS_PASSWORD", "PINACLE_REDIS_PASSWORD"),
        ("PINACLE_FOLDERS", "PINACLE_FOLDER"),
        ("pinacle_egres", "PINACLE_EGRESS"),
    ],
)
def test_a_misspelt_setting_is_refused_by_the_name_that_is_meant(
    misspelt: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it would be ignored, and nobody would know; its value is not quoted."""
    monkeypatch.setenv(misspelt, "canary")
    with pytest.raises(SettingsError) as caught:
        settings()
    assert f"{misspelt} is no setting" in str(caught.value)
    assert f"did you mean {meant}?" in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "is_ours"),
    [("PINACLE_LAKE", True), ("PINACLE_PORT", True), ("PINACLE_SERVICE_HOST", True), ("PINGER", False)],
)
def test_a_variable_that_is_like_no_setting_is_named_and_does_no_harm(
    name: str, is_ours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer version may know it, and Kubernetes makes variables from the names of services."""
    monkeypatch.setenv(name, "tcp://10.0.0.1:80")
    settings()
    assert (name in unknown_variables()) is is_ours


def test_no_setting_is_taken_for_another_one_misspelt(monkeypatch: pytest.MonkeyPatch) -> None:
    """All are set at once, to their defaults."""
    for name, (default, _) in documented().items():
        if default:
            monkeypatch.setenv(name, default)
    settings()
    assert set(documented()).isdisjoint(unknown_variables())


def test_make_up_says_in_one_line_which_setting_is_wrong() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "worker.local.up"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "DOCKER_HOST": "nonsense"},
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: DOCKER_HOST: 'nonsense': not an Engine's address")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("/run/docker.sock", "did you mean unix:///run/docker.sock?"),
        (f"unix:///{'x' * 107}", "108 bytes, and the kernel takes 107"),
        (f"unix:///{'ä' * 54}", "109 bytes, and the kernel takes 107"),
    ],
)
def test_an_engines_address_that_nobody_can_reach_is_refused(value: str, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        Settings.model_validate({"DOCKER_HOST": value})


def test_an_engines_socket_may_have_as_long_a_path_as_the_kernel_takes() -> None:
    address = f"unix:///{'x' * 106}"
    assert Settings.model_validate({"DOCKER_HOST": address}).docker_host == address


def test_ports_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="PINACLE_PORT_RANGE"):
        Settings(port_range="30000-20000")


def test_a_message_becomes_visible_again_later_than_any_task_takes() -> None:
    """Accepting and waiting each take as long as a task may wait, and then come the steps under way."""
    given = Settings()
    assert given.visibility_timeout_s > 2 * given.task_wait_s + given.step_deadline_s


@pytest.mark.parametrize(
    "path", ["pool", "./pool", "/", "//pool", "/srv/../pool", "/srv/pool/", " /srv/pool"]
)
def test_where_no_filesystem_can_be_mounted_is_no_pool(path: str) -> None:
    with pytest.raises(ValueError, match="absolute path"):
        Settings(pool=path)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ("20", "4 sizes"),
        ("1,2,3,4,5", "4 sizes"),
        ("20,40,80,", "'' is no size"),
        ("1,2,3,many", "'many' is no size"),
        ("0,1,2,3", "'0' is no size"),
        ("-1,1,2,3", "'-1' is no size"),
        ("nan,1,2,3", "'nan' is no size"),
        ("inf,1,2,3", "'inf' is no size"),
        ("1,2,3,1e9", "'1e9' is no size"),
        ("20,40,30,160", "none smaller than the one before it"),
    ],
)
def test_sizes_of_tiers_that_cannot_be(sizes: str, words: str) -> None:
    with pytest.raises(ValueError, match="tier_storage_gb") as raised:
        Settings(tier_storage_gb=sizes)
    assert words in str(raised.value)
    assert "such as 20,40,80,160" in str(raised.value)


def test_sizes_of_tiers_may_be_fractions() -> None:
    given = storage_by_tier(Settings(tier_storage_gb="0.1,0.25,1,1.5").tier_storage_gb)
    assert list(given) == list(TIERS)
    assert list(given.values()) == [10**8, 25 * 10**7, 10**9, 15 * 10**8]
    assert storage_by_tier(Settings().tier_storage_gb) == TIER_STORAGE == storage_by_tier("")


def test_an_absolute_path_is_a_pool() -> None:
    assert Settings(pool="/srv/pool").pool == "/srv/pool"
