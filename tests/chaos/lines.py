"""What the pods of the chaos test write, and which lines must never be missing."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from redis import Redis
from redis.exceptions import RedisError

VOLUMES: Final = {"/var": "var", "/workspace": "workspace", "/opt": "opt"}
_FOLDERS: Final = " ".join(VOLUMES)
SCRIPT: Final = f"""
trap 'exit 0' TERM
while :; do
  for folder in {_FOLDERS}; do
    touch $folder/lines
    echo $(($(wc -l < $folder/lines) + 1)) >> $folder/lines
    sync $folder/lines
  done
  sleep 0.5 & wait
done
"""
"""Counts the lines that are there, so a log that went back or began again shows a gap or a repetition."""


@dataclass
class Lines:
    """The last line seen in each pod's files: its owner relies on it."""

    folder: Callable[[str, str], Path]
    """Where a pod's volume is."""
    redis_url: str
    seen: dict[tuple[str, int, str], int] = field(default_factory=dict)
    """Pod, generation of its last deletion, and volume, to the number of lines."""

    def watch(self, pods: tuple[str, ...]) -> None:
        """Note how far the files are; a pod that is deleted at that moment is left out."""
        for pod_id in pods:
            with suppress(RedisError, OSError):
                before = self._purge_generation(pod_id)
                counts = {volume: len(self.of(pod_id, volume)) for volume in VOLUMES.values()}
                if before is not None and self._purge_generation(pod_id) == before:
                    for volume, count in counts.items():
                        key = (pod_id, before, volume)
                        self.seen[key] = max(count, self.seen.get(key, 0))

    def losses(self, pods: tuple[str, ...]) -> list[str]:
        """Return what is missing or wrong, in words."""
        found = []
        for (pod_id, purge, volume), count in self.seen.items():
            if pod_id in pods and self._purge_generation(pod_id) == purge:
                lines = self.of(pod_id, volume)
                if len(lines) < count:
                    found.append(f"{pod_id}, {volume}: {len(lines)} lines, {count} were acknowledged")
                if lines != [str(number + 1) for number in range(len(lines))]:
                    found.append(f"{pod_id}, {volume}: lines do not count up: {lines[:5]} .. {lines[-5:]}")
        return found

    def total(self) -> int:
        return sum(self.seen.values())

    def of(self, pod_id: str, volume: str) -> list[str]:
        path = self.folder(pod_id, volume) / "lines"
        return path.read_text().split() if path.exists() else []

    def _purge_generation(self, pod_id: str) -> int | None:
        """Return the generation of the last deletion; None while what it deletes may still be there."""
        with Redis.from_url(self.redis_url, decode_responses=True, socket_timeout=2) as redis:
            found = redis.hmget(f"pinacle:pod:{pod_id}", ["intent", "state"])
        intent, state = (json.loads(str(text)) if text is not None else {} for text in found)
        asked = intent.get("purge_generation")
        return int(asked) if asked is not None and state.get("purged_generation", 0) >= asked else None
