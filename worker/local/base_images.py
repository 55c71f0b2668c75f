"""`make bases`: base images for docker compose from Debian's packages, if no registry can be reached."""

import shutil
import subprocess
from typing import IO, Any, Final

from worker.local.images import ROOT, import_python
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
    engine = DefaultEngine()
    engine.docker("version")  # This fails now if there is no Engine, rather than after minutes of work.
    try:
        name = import_python(engine, _CACHE)
    except MissingProgramsError as error:
        raise SystemExit(f"error: {error}") from None
    print(f"PYTHON_IMAGE={name}\nREDIS_IMAGE={name}")


if __name__ == "__main__":
    main()
