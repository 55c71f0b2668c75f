"""Whether this checkout can be released as the version that it names: `make release-check`."""

import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PARTS: Final = {"config", "tasks", "worker"}


def main() -> int:
    """Print what stands in the way; return 1 if anything does."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    found = [
        *changelog_faults((ROOT / "CHANGELOG.md").read_text(), version),
        *_git_faults(version),
        *_wheel_faults(),
    ]
    for fault in found:
        print(f"not ready: {fault}")
    if not found:
        print(f"{version} is ready: git tag -a v{version} -m {version}")
    return int(bool(found))


def changelog_faults(text: str, version: str) -> Iterator[str]:
    """Yield what in the changelog does not fit a release of this version."""
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    unreleased, newest = sections[0], sections[1] if len(sections) > 1 else ""
    if unreleased.strip() != "Unreleased":
        yield "CHANGELOG.md: what is under Unreleased belongs to a version"
    if not re.match(rf"{re.escape(version)} - \d{{4}}-\d\d-\d\d\n", newest):
        yield f"CHANGELOG.md: the newest release is not `## {version} - YYYY-MM-DD`, as pyproject.toml says"


def _git_faults(version: str) -> Iterator[str]:
    if _git("status", "--porcelain"):
        yield "there are changes that are not committed"
    if _git("tag", "--list", f"v{version}"):
        yield f"the tag v{version} is there already: raise the version in pyproject.toml"


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


def build_wheel(into: Path) -> Path:
    """Build the project's wheel into an empty folder; needs no network. Raises CalledProcessError."""
    uv = str(Path(sys.executable).with_name("uv"))
    command = [uv, "build", "-q", "--offline", "--wheel", "--out-dir", str(into), str(ROOT)]
    subprocess.run(command, check=True)
    (wheel,) = into.glob("*.whl")
    return wheel


def _wheel_faults() -> Iterator[str]:
    with (
        tempfile.TemporaryDirectory(prefix="pinacle-release-") as folder,
        zipfile.ZipFile(build_wheel(Path(folder))) as files,
    ):
        parts = {name.split("/")[0] for name in files.namelist() if ".dist-info/" not in name}
        (scripts,) = [
            files.read(name).decode() for name in files.namelist() if name.endswith("entry_points.txt")
        ]
    if parts != PARTS:
        yield f"the wheel has {sorted(parts)}, and should have {sorted(PARTS)}"
    if "pinacle = worker.cli.__main__:run" not in scripts:
        yield "the wheel has no command `pinacle`"


if __name__ == "__main__":
    sys.exit(main())
