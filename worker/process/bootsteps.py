"""What a worker does besides running tasks."""

import gc
from typing import Any, Final

from celery import bootsteps

_BEAT_EVERY_S: Final = 1.0


class PodWork(bootsteps.StartStopStep):
    """Heartbeat and passes, from when the worker has started until it stops.

    It is a step of the worker and not of its consumer, so it goes on while the broker is away.
    """

    def start(self, parent: Any) -> None:
        """Begin; the runtime was made when the worker was set up."""
        _keep_what_is_loaded()
        parent.pod_runtime.start()


def _keep_what_is_loaded() -> None:
    """Take everything that there is out of the sight of Python's collector: it stays until the process ends.

    All threads stop while the collector looks through all objects. With those of the libraries, 100,000, that
    took a tenth to a quarter of a second on a busy host, every ten seconds or so.
    """
    gc.collect()
    gc.freeze()


class ConsumerHeart(bootsteps.StartStopStep):
    """Beats while messages are taken, by a timer of the same loop that takes them.

    It is a step of the consumer: without a connection to the broker there are no beats, and none are missed.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._timer: Any = None

    def start(self, parent: Any) -> None:
        """Begin, at each connection."""
        heart = parent.controller.pod_runtime.heart
        if heart is not None:
            heart.consumer_begins()
            self._timer = parent.timer.call_repeatedly(_BEAT_EVERY_S, heart.consumer_beats)

    def stop(self, parent: Any) -> None:
        """End; Celery may ask for it twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        heart = parent.controller.pod_runtime.heart
        if heart is not None:
            heart.consumer_ends()

    shutdown = stop
