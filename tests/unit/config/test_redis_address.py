"""Redis' address: any password reaches every client unchanged, and no error about an address shows it."""

from ssl import CERT_REQUIRED
from typing import Any

import pytest
from celery import Celery
from kombu import Connection
from redis.connection import parse_url

from config.redis_address import redis_address
from config.settings import Settings, SettingsError, settings

PASSWORDS = ("a/b+c==", "a@b", "#x", "%41", "100%", "a:b?c&d", "p w", "ä'\"\\$", "[", "plain")
CANARY = "canary"


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("user", ["", "pinacle"])
def test_a_password_reaches_redis_py_the_broker_and_the_results_as_it_is(user: str, password: str) -> None:
    """Set separately, or encoded in the URL: it is the same for all three."""
    given = f"redis://{user}@h:1/2" if user else "redis://h:1/2"
    url = redis_address(given, password=password)
    assert redis_address(url) == url
    told: Any = parse_url(url)  # type: ignore[no-untyped-call]
    assert (told["password"], told.get("username", ""), told["host"], told["db"]) == (password, user, "h", 2)
    assert Connection(url).password == password
    app = Celery(broker=url, backend=url)
    assert app.backend.connparams["password"] == password  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "inside",
    [
        f"{CANARY}/x",
        f"12/{CANARY}",
        f"{CANARY}#x",
        f"12?{CANARY}",
        f"{CANARY}%zz",
        f"[{CANARY}",
        f"a {CANARY}",
    ],
)
def test_a_password_that_breaks_the_url_is_refused_by_the_settings_name_alone(
    inside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PINACLE_REDIS_URL", f"redis://:{inside}@127.0.0.1:6379/0")
    settings.cache_clear()
    with pytest.raises(SettingsError, match=r"PINACLE_REDIS_URL: .*PINACLE_REDIS_PASSWORD") as caught:
        settings()
    assert CANARY not in str(caught.value)
    assert "12" not in str(caught.value)


def test_two_passwords_are_refused() -> None:
    """Nobody could know which one counts; neither is quoted."""
    with pytest.raises(
        ValueError, match="PINACLE_REDIS_URL: has a password, and PINACLE_REDIS_PASSWORD is set"
    ):
        Settings.model_validate({"redis_url": "redis://:one@h/0", "redis_password": "two"})


@pytest.mark.parametrize(
    "url", ["redis://h", "redis://h:1", "redis://[::1]:6379/0", "redis:///0", "redis://u@h/1"]
)
def test_what_needs_no_change_stays(url: str) -> None:
    assert redis_address(url) == url


def test_rediss_checks_certificates_for_all_three_from_one_setting() -> None:
    """Even if the URL says nothing; kombu would check none, and Celery's result backend would not start."""
    given = Settings.model_validate({"redis_url": "rediss://h:1/0", "redis_ca": "/a/my ca.pem"})
    url = given.redis_address
    told: Any = parse_url(url)  # type: ignore[no-untyped-call]
    assert (told["ssl_cert_reqs"], told["ssl_ca_certs"]) == ("required", "/a/my ca.pem")
    assert Connection(url).ssl == {"ssl_cert_reqs": CERT_REQUIRED, "ssl_ca_certs": "/a/my ca.pem"}
    results: Any = Celery(broker=url, backend=url).backend
    assert results.connparams["ssl_cert_reqs"] == CERT_REQUIRED
    assert results.connparams["ssl_ca_certs"] == "/a/my ca.pem"


@pytest.mark.parametrize(
    ("query", "checked"),
    [
        ("ssl_cert_reqs=CERT_REQUIRED", "required"),
        ("ssl_cert_reqs=none", "none"),
        ("ssl_certfile=/c", "required"),
    ],
)
def test_what_the_url_says_of_tls_counts_in_celerys_words_and_in_redis_pys(query: str, checked: str) -> None:
    url = redis_address(f"rediss://h:1/0?{query}")
    assert parse_url(url)["ssl_cert_reqs"] == checked  # type: ignore[no-untyped-call]


def test_certificates_without_tls_are_refused() -> None:
    with pytest.raises(ValueError, match=r"PINACLE_REDIS_CA is set; allowed: rediss://"):
        Settings.model_validate({"redis_url": "redis://h:1/0", "redis_ca": "/a"})
