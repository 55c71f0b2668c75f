"""Sets structlog up for our own events and for everything that logs through the standard library."""

import logging
import sys
from typing import Final

import structlog
from structlog.typing import Processor

_OFF: Final = logging.CRITICAL + 1
_SHARED: Final[tuple[Processor, ...]] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def configure_logging(*, level: str = "info", style: str = "auto") -> None:
    """Send all log events of this process to standard error: colours on a terminal, JSON elsewhere.

    With the level "off" there are none, for programs that say themselves what is wrong.
    """
    console = style == "console" or (style == "auto" and sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(console=console))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_OFF if level == "off" else level.upper())
    # Celery's own line for each received task has the arguments, and with them a pod's `env`.
    logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING)


def _formatter(*, console: bool) -> logging.Formatter:
    # Without local variables: they contain specs, and with them a pod's `env`.
    traceback = structlog.processors.format_exc_info
    render: list[Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if console
        else [traceback, structlog.processors.JSONRenderer()]
    )
    return structlog.stdlib.ProcessorFormatter(
        # Without `extra`: Celery puts a task's arguments there.
        foreign_pre_chain=[*_SHARED],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
    )
