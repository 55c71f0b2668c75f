"""One picture of a run: how many times the Engine's own minimum each contender takes."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any, Final

import matplotlib as mpl

from tests.bench.tables import LOST, MANY, ONE, Found

_SHOWN: Final = (
    ("create a pod", ONE, "create"),
    ("bring back a lost pod", ONE, "recover"),
    ("create 20 at once", MANY, "create"),
    ("bring back 50 lost at once", LOST, "recover"),
)
_COLOURS: Final = {"ours": "#1d6fb8", "docker CLI": "#b9b9b9", "compose": "#e08a1e"}
_BAR: Final = 0.26


def draw(found: Found, path: Path) -> None:
    """Write a PNG: bars from the floor, which is 1, shorter is better."""
    mpl.use("agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the choice of what draws without a screen

    figure, axes = plt.subplots(figsize=(9, 4.2), dpi=110, layout="constrained")
    shown = [(title, found[section][operation]) for title, section, operation in _SHOWN if section in found]
    for place, (_, times) in enumerate(shown):
        for offset, name, ratio, milliseconds in _bars(times):
            axes.barh(place + offset, ratio, height=_BAR * 0.92, color=_COLOURS[name])
            label = f"{ratio:.2f}  ({milliseconds:,.0f} ms)"
            axes.text(ratio + 0.02, place + offset, label, va="center", size=9)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_yticks(range(len(shown)), [title for title, _ in shown], size=11)
    axes.invert_yaxis()
    axes.set_xlim(0, axes.get_xlim()[1] * 1.18)
    axes.set_xlabel("times the Engine's own minimum (the line at 1); shorter is better")
    for name, colour in _COLOURS.items():
        axes.barh(0, 0, color=colour, label="pinacle pod worker" if name == "ours" else name)
    figure.legend(loc="outside lower center", ncols=len(_COLOURS), frameon=False)
    axes.spines[["top", "right"]].set_visible(b=False)
    axes.set_title(f"A pod of a Debian image with eight volumes, {found['engine']}", loc="left", size=11)
    figure.savefig(path)
    plt.close(figure)


def _bars(times: Mapping[str, Any]) -> Iterator[tuple[float, str, float, float]]:
    """Yield place, contender, ratio to the floor, and milliseconds."""
    present = [name for name in _COLOURS if name in times]
    for number, name in enumerate(present):
        offset = (number - (len(present) - 1) / 2) * _BAR
        yield offset, name, median(times[name]) / median(times["floor"]), 1000 * median(times[name])
