"""A caller of the tasks, by name and without any of our code, as a web app is."""

from typing import TYPE_CHECKING, Any

from celery import Celery

if TYPE_CHECKING:
    from celery.result import AsyncResult


class Client:
    """Sends tasks and waits for what they answer."""

    def __init__(self, redis_url: str) -> None:
        self._app = Celery(broker=redis_url, backend=redis_url)
        self._app.conf.broker_transport_options = {"socket_timeout": 10}

    def send(
        self, task: str, *args: Any, task_id: str | None = None, queue: str = "pods", **kwargs: Any
    ) -> "AsyncResult[Any]":
        """Send `pods.{task}` and return what will have its result."""
        return self._app.send_task(f"pods.{task}", args=args, kwargs=kwargs, queue=queue, task_id=task_id)

    def receive(self, sent: "AsyncResult[Any]", timeout_s: float = 90) -> Any:
        """Wait for a result; raises what the task raised, in a class that Celery makes from its name."""
        try:
            return sent.get(timeout=timeout_s)
        finally:
            # Celery unsubscribes when it collects the result, which may be after the server has ended.
            result: Any = sent
            result.backend.remove_pending_result(result)
            result.backend = None

    def call(self, task: str, *args: Any, timeout_s: float = 90, **kwargs: Any) -> Any:
        """Send a task and return its result."""
        return self.receive(self.send(task, *args, **kwargs), timeout_s)

    def error(self, task: str, *args: Any, **kwargs: Any) -> str:
        """Call a task that has to fail; return what its caller sees, the kind of error first."""
        try:
            answer = self.call(task, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - its class is made by Celery, from its name
            return f"{type(error).__name__}: {error}"
        raise AssertionError(f"pods.{task} should have failed and answered {answer}")

    def close(self) -> None:
        self._app.close()
