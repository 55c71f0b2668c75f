"""Calls the tasks by name and without any of our code, as a web app does."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from celery import Celery

if TYPE_CHECKING:
    from celery.result import AsyncResult


class Client:
    """Sends tasks and waits for their answers."""

    def __init__(self, redis_url: str) -> None:
        self._app = Celery(broker=redis_url, backend=redis_url)
        self._app.conf.broker_transport_options = {"socket_timeout": 10}

    def send(
        self, task: str, *args: Any, task_id: str | None = None, queue: str = "pods", **kwargs: Any
    ) -> "AsyncResult[Any]":
        """Send `pods.{task}` and return what will have its result."""
        return self._app.send_task(f"pods.{task}", args=args, kwargs=kwargs, queue=queue, task_id=task_id)

    def signature(self, task: str, *args: Any, queue: str = "pods", **kwargs: Any) -> Any:
        """Return a task, by its full name, to be sent later: for chains, groups and links."""
        return self._app.signature(task, args=args, kwargs=kwargs, immutable=True, options={"queue": queue})

    def receive(self, sent: "AsyncResult[Any]", timeout_s: float = 90) -> Any:
        """Wait for a result; raises what the task raised, in a class that Celery makes from its name."""
        try:
            # Ask first: if a result came while another one was waited for, `get` would wait a second more.
            sent.ready()
            return sent.get(timeout=timeout_s)
        finally:
            # Celery unsubscribes when the result object is collected, which may be after the server has
            # ended.
            self.forget(sent)

    def call(self, task: str, *args: Any, timeout_s: float = 90, **kwargs: Any) -> Any:
        """Send a task and return its result."""
        return self.receive(self.send(task, *args, **kwargs), timeout_s)

    def call_task(self, name: str, *args: Any, timeout_s: float = 90) -> Any:
        """Send a task by its full name and return its result."""
        return self.receive(self._app.send_task(name, args=args, queue="pods"), timeout_s)

    def error(self, task: str, *args: Any, **kwargs: Any) -> str:
        """Call a task that has to fail; return what its caller sees, the kind of error first."""
        try:
            answer = self.call(task, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - its class is made by Celery, from its name
            return _told(error)
        raise AssertionError(f"pods.{task} should have failed and answered {answer}")

    def outcome(self, sent: "AsyncResult[Any]") -> str:
        """Wait for a task to succeed or fail; return its phase, or what its caller sees of its error."""
        try:
            return str(self.receive(sent)["phase"])
        except Exception as error:  # noqa: BLE001 - its class is made by Celery, from its name
            return _told(error)

    def forget(self, sent: "AsyncResult[Any]") -> None:
        """Stop waiting for a task's result."""
        result: Any = sent
        backend, result.backend = result.backend, None
        backend.remove_pending_result(result)

    @property
    def control(self) -> Any:
        """Celery's remote control."""
        return self._app.control

    def inspect_everything(self) -> list[str]:
        """Return all that workers answer about their tasks."""
        inspect = self._app.control.inspect(timeout=2.0)
        return [
            repr(answer()) for answer in (inspect.active, inspect.reserved, inspect.scheduled, inspect.stats)
        ]

    @contextmanager
    def watching_events(self, seen: list[str]) -> Iterator[None]:
        """Add to `seen` all events that workers send meanwhile, as Flower gets them."""
        ready, done = threading.Event(), threading.Event()
        watcher = threading.Thread(target=self._watch, args=(seen, ready, done))
        watcher.start()
        ready.wait(10)
        try:
            yield
        finally:
            done.set()
            watcher.join(10)

    def _watch(self, seen: list[str], ready: threading.Event, done: threading.Event) -> None:
        with self._app.connection() as connection:
            handlers = {"*": lambda event: seen.append(repr(event))}
            receiver = self._app.events.Receiver(connection, handlers=handlers)
            with receiver.consumer_context():
                ready.set()
                while not done.is_set():
                    with suppress(TimeoutError):
                        connection.drain_events(timeout=0.5)

    def close(self) -> None:
        self._app.close()


def _told(error: Exception) -> str:
    """Return kind and text of a failure; of a class that Celery made, the text would be all arguments."""
    return f"{type(error).__name__}: {error.args[0] if error.args else error}"
