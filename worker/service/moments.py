"""Times as callers read them."""

from datetime import UTC, datetime


def moment(at: float) -> str | None:
    """Return a time in seconds since the epoch as RFC 3339 has it; None for 0, which stands for none."""
    return datetime.fromtimestamp(at, tz=UTC).isoformat(timespec="seconds") if at > 0 else None
