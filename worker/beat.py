"""`python -m worker.beat`: sends what is due at an interval, without the code behind the tasks.

Beat sends tasks by their names. `celery -A worker.app:app beat` does the same with more memory.
"""

import argparse
from typing import Any, Final

from celery.signals import setup_logging

from config.celery import make_app
from config.logging import configure_logging
from config.settings import settings

app: Final = make_app(imports=())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m worker.beat")
    parser.add_argument(
        "-s", "--schedule", default="celerybeat-schedule", help="file that notes the last run"
    )
    given = parser.parse_args()
    app.Beat(schedule=given.schedule).run()


@setup_logging.connect
def _configure_logging(**_: Any) -> None:
    configure_logging(level=settings().log_level, style=settings().log_format)


if __name__ == "__main__":
    main()
