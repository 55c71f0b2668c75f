"""Docker Compose v2, which Debian 12 lacks: it is unpacked from a newer Debian's package, not installed."""

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from worker.local.processes import inherited

NEWER_SUITE: Final = "trixie"
_PROGRAM: Final = "usr/libexec/docker/cli-plugins/docker-compose"
_ALTERNATIVE: Final = "usr/bin/docker-compose"


def compose_program(cache: Path) -> Path:
    """Return a Compose v2 program, downloaded once into `cache` from this machine's own Debian mirror."""
    program = cache / "docker-compose"
    if not program.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="pinacle-compose-") as name:
            _download(Path(name), program)
    return program


def _download(folder: Path, program: Path) -> None:
    sources = folder / "sources.list"
    sources.write_text(f"deb {_mirror()} {NEWER_SUITE} main\n")
    (folder / "lists" / "partial").mkdir(parents=True)
    options = {
        "Dir::Etc::sourcelist": str(sources),
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": str(folder / "lists"),
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "-qq", *(word for key, value in options.items() for word in ("-o", f"{key}={value}"))]
    environment = inherited(DEBIAN_FRONTEND="noninteractive")
    subprocess.run([*apt, "update"], check=True, env=environment)
    subprocess.run([*apt, "download", "docker-compose"], check=True, cwd=folder, env=environment)
    package = next(folder.glob("docker-compose_*.deb"))
    subprocess.run(["dpkg", "-x", str(package), str(folder / "root")], check=True)
    found = next(path for path in (_PROGRAM, _ALTERNATIVE) if (folder / "root" / path).is_file())
    partial = program.with_suffix(".partial")
    shutil.copy(folder / "root" / found, partial)
    partial.rename(program)


def _mirror() -> str:
    """Return the address of the Debian mirror that this machine uses for its own packages."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    return next(site for site in listed if site.startswith("http") and not site.endswith("-security"))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m worker.local.compose", description="Put Compose v2 into a folder of Docker's plugins."
    )
    parser.add_argument("folder", type=Path, help="such as /usr/local/lib/docker/cli-plugins")
    print(compose_program(parser.parse_args().folder))


if __name__ == "__main__":
    main()
