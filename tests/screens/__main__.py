"""Draws the pictures of docs/screens: each is what a command wrote on a terminal, on an Engine of its own."""

import re
import sys
import tempfile
from io import StringIO
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from tests.support.commands import Pinacle
from tests.support.stack import own_stack
from tests.support.worker import ROOT
from worker.local.waiting import wait_until

FOLDER: Final = ROOT / "docs" / "screens"
_COLUMNS: Final = 104
_SERVES: Final = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done"]
_WORKS: Final = ["sh", "-c", "trap 'exit 0' TERM; while :; do :; done"]
_PODS: Final[dict[str, dict[str, Any]]] = {
    "shop-web": {"ports": [{"container": 8080}], "labels": {"team": "shop"}, "command": _SERVES},
    "shop-db": {"tier": "dev.medium", "labels": {"team": "shop"}, "command": _WORKS},
    "notebook": {"command": ["sh", "-c", "echo 'no such table: users' >&2; exit 3"]},
    "old-site": {"command": _SERVES},
}
_SETTINGS: Final = {
    "PINACLE_RECONCILE_INTERVAL_S": "5",
    "PINACLE_DISK_INTERVAL_S": "0.5",
    "PINACLE_HOST_ID": "host-1",
}
_SPINNER: Final = re.compile(r"^[^\n]*[\u2800-\u28ff][^\n]*\n?", re.MULTILINE)
_SCREENS: Final = {
    "list": ("pods", "ls"),
    "get": ("pods", "get", "notebook"),
    "top": ("top",),
    "doctor": ("doctor",),
    "update": ("pods", "update", "shop-web", "--env", "LANG=C.UTF-8", "--tier", "dev.large", "--dry-run"),
}
_FORMAT: Final = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: monospace; font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""
"""As rich's own, but without fonts from elsewhere."""


def main() -> None:
    """Make some pods in different states, and draw what each command shows of them."""
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as scratch,
        own_stack(Path(scratch), _SETTINGS) as stack,
    ):
        for pod_id, more in _PODS.items():
            stack.client.send("create", pod_id, {"image": "pinacle-busybox", "stop_timeout_s": 1, **more})
        wait_until(lambda: stack.phases().get("notebook") == "backoff", 60, what="a pod in trouble")
        wait_until(lambda: stack.phases().get("old-site") == "running", 60, what="the other pods")
        stack.client.call("stop", "old-site")
        own = {**_SETTINGS, "DOCKER_HOST": stack.engine.url, "PINACLE_REDIS_URL": stack.redis.url}
        pinacle = Pinacle(own, columns=_COLUMNS)
        # Nothing else is replaced: the Engine's folder, and its name.
        name_of_engine = stack.engine.docker("info", "-f", "{{.Name}}").strip()
        mine = {str(stack.engine.root): "/var/lib/pinacle", f"{name_of_engine} at": "host-1 at"}
        for name, words in _SCREENS.items():
            shown = _shown(words, pinacle)
            for this, there in mine.items():
                shown = shown.replace(this, there)
            _draw(name, words, shown)


def _draw(name: str, words: tuple[str, ...], shown: str) -> None:
    console = Console(record=True, width=_COLUMNS, file=StringIO(), force_terminal=True)
    console.print(Text(f"$ pinacle {' '.join(words)}", style="bold"))
    console.print(Text.from_ansi(shown))
    svg = console.export_svg(title="pinacle", code_format=_FORMAT, unique_id=f"s-{name}")
    (FOLDER / f"{name}.svg").write_text(re.sub(r"\n\s+", "\n", svg))
    sys.stderr.write(f"docs/screens/{name}.svg\n")


def _shown(words: tuple[str, ...], pinacle: Pinacle) -> str:
    """Return what a command wrote: the live table as it is without a terminal, where it ends by itself."""
    if words[0] == "top":
        return Pinacle(pinacle.settings, {"COLUMNS": str(_COLUMNS)})(*words).out.rstrip()
    _code, shown = pinacle.on_terminal(*words)
    # Without what was drawn while it waited, and removed again.
    plain = re.sub(r"\x1b\[(\?25[lh]|2K|1A)", "", shown).replace("\r\n", "\n").replace("\r", "")
    return _SPINNER.sub("", plain).strip("\n")


if __name__ == "__main__":
    main()
