"""`make bases` and `make helper`: images from Debian's packages, if no registry can be reached."""

import argparse
import shutil
import subprocess
from typing import IO, Any, Final

from worker.local.images import ROOT, import_helper, import_python
from worker.local.packages import MissingProgramsError

_CACHE: Final = ROOT / ".pinacle" / "cache"


class DefaultEngine:
    """The Engine that `docker` speaks to, by DOCKER_HOST or its context."""

    def docker(self, *arguments: str, stdin: IO[bytes] | bytes | None = None) -> str:
        program = shutil.which("docker")
        if program is None:
            raise SystemExit("error: there is no `docker` here: install Docker's command line")
        given: dict[str, Any] = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
        done: subprocess.CompletedProcess[bytes] = subprocess.run(
            [program, *arguments], check=False, capture_output=True, **given
        )
        if done.returncode != 0:
            raise SystemExit(f"error: docker {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout.decode()


def main() -> None:
    """Make the images and say what to write into .env."""
    parser = argparse.ArgumentParser(prog="make bases")
    parser.add_argument("--helper", action="store_true", help="make the image of a pool's helper instead")
    of_helper: bool = parser.parse_args().helper
    engine = DefaultEngine()
    engine.docker("version")  # This fails now if there is no Engine, rather than after minutes of work.
    try:
        name = import_helper(engine, _CACHE) if of_helper else import_python(engine, _CACHE)
    except MissingProgramsError as error:
        raise SystemExit(f"error: {error}") from None
    print(f"PINACLE_HELPER_IMAGE={name}" if of_helper else f"PYTHON_IMAGE={name}\nREDIS_IMAGE={name}")


if __name__ == "__main__":
    main()
