"""Serves the figures to Prometheus, on one port."""

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
    """An HTTP server in a thread of its own, so that a busy event loop is seen and not unseen."""

    def __init__(self, registry: CollectorRegistry, *, address: str, port: int) -> None:
        self._registry = registry
        self._address = address
        self._port = port
        self._running: tuple[WSGIServer, threading.Thread] | None = None

    async def open(self) -> None:
        """Listen as soon as the port is free, as long as that takes; say once that it is not.

        A worker without figures still keeps pods alive, and one that takes the place of another may come
        before that has gone.
        """
        told = False
        # In a thread, as the library asks the name service for the address's name.
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
                    reason=f"port {self._port} of {self._address} cannot be had: {error}. It is tried again; "
                    "pods are kept meanwhile. Free it, or change PINACLE_METRICS_PORT or "
                    "PINACLE_METRICS_ADDRESS",
                )
            return False
        _log.info("metrics_served", address=self._address, port=self._port)
        return True
