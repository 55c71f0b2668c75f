"""How far a pull has come, from the lines that the Engine sends."""

import json


class PullProgress:
    """Adds up the layers of one pull."""

    def __init__(self) -> None:
        self._current: dict[str, int] = {}
        self._total: dict[str, int] = {}

    def take(self, line: bytes) -> str | None:
        """Take one line; return the Engine's text if it says that the pull failed."""
        if not line.strip():
            return None
        message = json.loads(line)
        if "error" in message:
            return str(message["error"])
        detail = message.get("progressDetail") or {}
        if message.get("status") == "Downloading" and detail.get("total"):
            self._current[message["id"]] = detail["current"]
            self._total[message["id"]] = detail["total"]
        elif message.get("status") == "Download complete" and message.get("id") in self._total:
            self._current[message["id"]] = self._total[message["id"]]
        return None

    def as_fields(self) -> dict[str, float]:
        """Return megabytes so far and in all, as far as the Engine has said."""
        megabyte = 10**6
        return {
            "done_mb": round(sum(self._current.values()) / megabyte, 1),
            "total_mb": round(sum(self._total.values()) / megabyte, 1),
        }
