"""The server: a socket, the application, and an orderly end."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from threadpoolctl import threadpool_limits

from catalog import Catalog
from catalog.descriptors import CatalogError
from catalog.machine.reading import allow_only
from catalog.service import logs
from catalog.service.app import create_app
from catalog.service.guard import Guard
from catalog.service.protocol import GuardedProtocol
from catalog.service.settings import Settings

_FINISH_SECONDS = 30
_KEEP_ALIVE_SECONDS = 15
_TURN_SECONDS = 0.001
_log = logging.getLogger(__name__)


def serve(
    catalogue: Path,
    settings: Settings,
    *,
    level: str = "info",
    listening: Callable[[str], object] | None = None,
) -> None:
    """Serve a catalogue until the process is told to end; what was acknowledged is finished.

    Args:
        catalogue: the path of its file.
        settings: how the service is run.
        level: from which on things are logged: ``debug``, ``info``, ``warning`` or ``error``.
        listening: told the address, once it can be called.

    Raises:
        CatalogError: the catalogue cannot be opened, or the address not be listened at.
    """
    logs.prepare(level)
    _share_processors()
    allow_only(settings.allow)
    with Catalog.open(catalogue, isolate="embedding") as catalog:
        app = create_app(catalog, settings)
        with _socket(settings) as listener:
            if listening is not None:
                listening(_address(listener))
            with _ends_in_order():
                server(app).run([listener])


class _Server(uvicorn.Server):
    """A server that tells its application of the end when that begins, and not when it is over."""

    def __init__(self, config: uvicorn.Config, guard: Guard) -> None:
        super().__init__(config)
        self._guard = guard

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Come to an end."""
        _log.info("ending, once what was begun is done")
        self._guard.end()
        await super().shutdown(sockets)


def server(app: Guard) -> uvicorn.Server:
    """What runs an application on a socket."""
    return _Server(
        uvicorn.Config(
            app,
            http=GuardedProtocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_FINISH_SECONDS,
        ),
        app,
    )


def _share_processors() -> None:
    """Let threads of many requests take turns quickly, and none of them take two processors.

    A product of matrices by two threads, of which one waits for a processor that another request
    has, takes many times as long as by one.
    """
    sys.setswitchinterval(_TURN_SECONDS)
    threadpool_limits(1, "blas")


@contextmanager
def _ends_in_order() -> Iterator[None]:
    """Let the server's own end be the end: it sends itself again what it was told to end by."""
    told = (signal.SIGINT, signal.SIGTERM)
    before = {one: signal.signal(one, signal.SIG_IGN) for one in told}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _socket(settings: Settings) -> socket.socket:
    """A socket that listens.

    Raises:
        CatalogError: it cannot.
    """
    try:
        return socket.create_server(
            (settings.host, settings.port),
            family=socket.AF_INET6 if ":" in settings.host else socket.AF_INET,
            backlog=1024,
            reuse_port=False,
        )
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None)
        reason = os.strerror(number) if number and number > 0 else str(error)
        raise CatalogError(
            f"cannot listen at {settings.host}, port {settings.port}: {reason}; --port and --host "
            "name others"
        ) from error


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
