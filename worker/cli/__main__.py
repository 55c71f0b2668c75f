"""`python -m worker.cli`: the command `pinacle`."""

import signal
import sys

# As long as nothing can have been sent, an interrupt just ends it, without a message.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from worker.cli.command import main  # noqa: E402 - loading takes long enough to be interrupted


def run() -> None:
    """Run the command; an interrupt is reported from here on."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())


if __name__ == "__main__":
    run()
