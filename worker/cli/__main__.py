"""`python -m worker.cli`: the command `pinacle`."""

import gc
import os
import signal
import sys

# As long as nothing can have been sent, an interrupt just ends it, without a message.
signal.signal(signal.SIGINT, signal.SIG_DFL)
# What follows takes most of a short command's time. Pydantic would look through all installed packages for
# plugins, of which there are none. Redis' client would load OpenTelemetry where that is installed, and use
# none of it. Each collection would find next to nothing to free: a short command makes 90,000 objects in all.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # noqa: TID251 - nothing is read
sys.modules["opentelemetry"] = None  # type: ignore[assignment] # as if it were not installed
gc.set_threshold(200_000)

from worker.cli.command import main  # noqa: E402 - loading takes long enough to be interrupted


def run() -> None:
    """Run the command; an interrupt is reported from here on."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())


if __name__ == "__main__":
    run()
