"""How far a pull has come, from the lines that the Engine sends."""

import json
from dataclasses import dataclass
from typing import Any, Final

from worker.interfaces import Progress

_OF_THE_WHOLE: Final = "Pulling from "
"""Begins the status of the one line that names the tag where others name a layer."""
_THERE: Final = ("Pull complete", "Already exists")
_RECEIVED: Final = ("Verifying Checksum", "Download complete", "Extracting", *_THERE)


@dataclass
class _Layer:
    """One layer: bytes as far as the Engine has said, which is nothing for one that the host had."""

    done: int = 0
    total: int = 0
    is_there: bool = False


class PullProgress:
    """Adds up the layers of one pull. Nothing goes backwards, also if the Engine begins a layer again."""

    def __init__(self, image: str) -> None:
        self._image = image
        self._layers: dict[str, _Layer] = {}

    def take(self, line: bytes) -> str | None:
        """Take one line; return the Engine's text if it says that the pull failed."""
        if not line.strip():
            return None
        message = json.loads(line)
        if "error" in message:
            return str(message["error"])
        status, name = str(message.get("status") or ""), message.get("id")
        # Lines about the whole pull have no id, or the tag.
        if isinstance(name, str) and name and not status.startswith(_OF_THE_WHOLE):
            self._note(self._layers.setdefault(name, _Layer()), status, message.get("progressDetail"))
        return None

    def end(self) -> None:
        """Note that everything was pulled: some Engines do not say so of each layer."""
        for layer in self._layers.values():
            layer.done, layer.is_there = layer.total, True

    def now(self) -> Progress:
        """Return how far it has come."""
        layers = self._layers.values()
        return Progress(
            image=self._image,
            done_bytes=sum(layer.done for layer in layers),
            total_bytes=sum(layer.total for layer in layers),
            done_layers=sum(layer.is_there for layer in layers),
            total_layers=len(layers),
        )

    def _note(self, layer: _Layer, status: str, detail: Any) -> None:
        if status == "Downloading" and isinstance(detail, dict):
            layer.done = max(layer.done, _size(detail.get("current")))
            # Some registries do not say how much there is: then it is what has come.
            layer.total = max(layer.done, layer.total, _size(detail.get("total")))
        elif status in _RECEIVED:
            layer.done = layer.total
            layer.is_there = layer.is_there or status in _THERE


def _size(value: Any) -> int:
    return value if isinstance(value, int) else 0
