"""What a worker does besides taking tasks."""

from typing import Any

from celery import bootsteps


class PodWork(bootsteps.StartStopStep):
    """Heartbeat and passes, from when the worker has started until it stops.

    A step of the worker and not of its consumer: it goes on while the broker is away.
    """

    def start(self, parent: Any) -> None:
        """Begin; the runtime was put together when the worker was set up."""
        parent.pod_runtime.start()
