"""Serves the metrics to Prometheus, on one port."""

import asyncio
from typing import TYPE_CHECKING, Final

import structlog
from prometheus_client import CollectorRegistry, start_http_server

if TYPE_CHECKING:
    import threading
    from wsgiref.simple_server import WSGIServer

_log: Final = structlog.get_logger(__name__)
_AGAIN_AFTER_S: Final = 5.0


class MetricsServer:
    """An HTTP server in a thread of its own, so that it answers even if the event loop is busy."""

    def __init__(self, registry: CollectorRegistry, *, address: str, port: int) -> None:
        self._registry = registry
        self._address = address
        self._port = port
        self._running: tuple[WSGIServer, threading.Thread] | None = None

    async def open(self) -> None:
        """Listen as soon as the port is free, however long that takes; log once that it is not free.

        A worker without metrics still keeps pods alive. And a worker that replaces another one may start
        before that one has ended.
        """
        told = False
        # In a thread, as the library looks the address's name up.
        while not await asyncio.to_thread(self._listen, tell=not told):
            told = True
            await asyncio.sleep(_AGAIN_AFTER_S)

    def close(self) -> None:
        if self._running is not None:
            server, thread = self._running
            server.shutdown()
            server.server_close()
            thread.join()
            self._running = None

    def _listen(self, *, tell: bool) -> bool:
        try:
            self._running = start_http_server(self._port, self._address, self._registry)
        except OSError as error:
            if tell:
                _log.error(
                    "metrics_not_served",
                    reason=f"port {self._port} of {self._address} cannot be opened: {error}. It is tried "
                    "again; pods are kept meanwhile. Free it, or change PINACLE_METRICS_PORT or "
                    "PINACLE_METRICS_ADDRESS",
                )
            return False
        _log.info("metrics_served", address=self._address, port=self._port)
        return True
