"""Turns Redis' errors into our own, which say what to do about them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import redis.exceptions

from worker.errors import StoreUnavailableError
from worker.store.refusals import refusal

_WRONG: Final = "Redis refuses the password in PINACLE_REDIS_URL or PINACLE_REDIS_PASSWORD"


@contextmanager
def translated(operation: str) -> Iterator[None]:
    """Turn every error of redis-py inside into StoreUnavailableError."""
    try:
        yield
    except redis.exceptions.RedisError as error:
        raise StoreUnavailableError(f"{operation}: {_explain(error)}") from error
    except RuntimeError as error:
        # Celery's own, when Redis went away while a result was waited for.
        cause = error.__cause__ or error.__context__
        if not isinstance(cause, redis.exceptions.RedisError):
            raise
        raise StoreUnavailableError(f"{operation}: {_explain(cause)}") from error
    except (OSError, TimeoutError) as error:
        raise StoreUnavailableError(f"{operation}: Redis cannot be reached: {error}") from error


def _explain(error: redis.exceptions.RedisError) -> str:
    text = str(error)
    remedies = {
        "NOAUTH": "Redis asks for a password: set it in PINACLE_REDIS_PASSWORD",
        "HELLO must be called": "Redis asks for a password: set it in PINACLE_REDIS_PASSWORD",
        "WRONGPASS": _WRONG,
        "invalid username-password": _WRONG,
    }
    told = refusal(error) or next((remedy for sign, remedy in remedies.items() if sign in text), None)
    if told is not None:
        return f"{told} ({text})"
    if isinstance(error, redis.exceptions.ConnectionError | redis.exceptions.TimeoutError):
        return f"Redis cannot be reached or does not answer: {text}"
    return f"Redis failed: {text}"
