"""The Celery app as beat needs it: broker and schedule, and none of the code behind the tasks.

Beat sends messages by their names. `worker.app:app` would do as well, in half as much memory again.
"""

from typing import Any, Final

from celery.signals import setup_logging

from config.celery import make_app
from config.logging import configure_logging
from config.settings import settings

app: Final = make_app(imports=())


@setup_logging.connect
def _configure_logging(**_: Any) -> None:
    configure_logging(level=settings().log_level, style=settings().log_format)
