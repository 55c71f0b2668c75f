"""Celery's configuration: queues, routes, reliability, beat."""

from typing import Any, Final

from celery import Celery
from kombu import Queue
from kombu.transport import TRANSPORT_ALIASES

from config.queues import BY_QUESTIONS, PODS_QUEUE, QUESTIONS_QUEUE, shared_queues
from config.settings import Settings, SettingsError, settings

_HELD_MESSAGES: Final = 1000
"""Messages that a worker has taken and not answered yet, at most. Each waits for a thread of its own kind of
work, so that a stop overtakes hundreds of creations that were sent before it."""
_SCHEMES: Final = ("redis", "rediss")


def make_app(**more: Any) -> Celery:
    """Return an app with this configuration; `more` is passed to Celery.

    Ends the process with one line if a variable of the environment has an invalid value.
    """
    app = Celery("pinacle", control="worker.intake.control:PodControl")
    # By their schemes, as kombu knows by these whether the connection is a secure one.
    TRANSPORT_ALIASES.update(dict.fromkeys(_SCHEMES, "worker.store.broker:Transport"))
    app.loader.override_backends = dict.fromkeys(_SCHEMES, "worker.store.broker:ResultBackend")
    try:
        app.conf.update(celery_config(settings()) | more)
    except SettingsError as error:
        raise SystemExit(f"error: {error}") from None
    return app


def celery_config(settings: Settings) -> dict[str, Any]:
    """Return the whole of `app.conf`."""
    return _connections(settings) | _tasks(settings) | _worker(settings)


def _connections(settings: Settings) -> dict[str, Any]:
    """Return how Redis is reached, for messages and for results."""
    url = settings.redis_address
    transport = {
        "visibility_timeout": settings.visibility_timeout_s,
        # How often expired ones are looked for: every 4 s, instead of every 100 s.
        "unacked_restore_limit": 100,
        # A worker that is killed while it looks would otherwise keep all others from looking for five
        # minutes.
        "unacked_mutex_expire": 30,
        "socket_timeout": settings.redis_timeout_s * 4,
        "socket_connect_timeout": settings.redis_timeout_s,
        "socket_keepalive": True,
        "health_check_interval": 10,
    }
    return {
        "broker_url": url,
        "result_backend": url,
        "broker_transport_options": transport,
        "broker_connection_retry_on_startup": True,
        # Without a limit: Redis may be away for long.
        "broker_connection_max_retries": None,
        "result_backend_transport_options": {"retry_policy": {"timeout": 5.0}},
        "redis_socket_timeout": settings.redis_timeout_s,
        "redis_socket_connect_timeout": settings.redis_timeout_s,
        "redis_retry_on_timeout": True,
        "redis_socket_keepalive": True,
        "result_backend_always_retry": True,
        # One for all threads. If each thread had its own, each would open connections and take long to make.
        "result_backend_thread_safe": True,
    }


def _tasks(settings: Settings) -> dict[str, Any]:
    """Return the settings of tasks, messages and results, and what beat sends."""
    return {
        "result_expires": settings.result_keep_s,
        "result_extended": False,
        "accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        "task_default_queue": PODS_QUEUE,
        # Each by a key of its own: what is sent to the exchange goes into all queues that share its key.
        "task_queues": [Queue(name, routing_key=name) for name in shared_queues()],
        "task_routes": {name: {"queue": QUESTIONS_QUEUE} for name in BY_QUESTIONS},
        # Otherwise a typo would make a queue that nobody reads.
        "task_create_missing_queues": False,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_track_started": True,
        "task_publish_retry": True,
        "task_send_sent_event": False,
        "enable_utc": True,
        "timezone": "UTC",
        "imports": ("tasks.pods", "tasks.hosts", "worker.intake.panel"),
        "beat_schedule": {
            "reconcile": {
                "task": "pods.reconcile",
                "schedule": settings.reconcile_interval_s,
                "options": {"queue": PODS_QUEUE, "expires": settings.reconcile_interval_s},
            }
        },
    }


def _worker(settings: Settings) -> dict[str, Any]:
    """Return how a worker takes messages."""
    return {
        "worker_prefetch_multiplier": -(-_HELD_MESSAGES // settings.task_concurrency),
        "worker_pool": "worker.intake.pool:LanePool",
        "worker_consumer": "worker.intake.consumer:StrictConsumer",
        "worker_concurrency": settings.task_concurrency,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_send_task_events": True,
        # Tasks under way go on during an outage of Redis, and do no harm if they come twice.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_enable_remote_control": True,
    }
