"""The service as an ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from catalog import Catalog
from catalog.descriptors import CatalogError
from catalog.service import openapi, problems
from catalog.service.guard import Guard
from catalog.service.keys import Keys
from catalog.service.routes import asking, classes, health, items, jobs, journal, page, reports
from catalog.service.running import Service
from catalog.service.settings import Settings

_DESCRIPTION: Final = """\
The same answers as the command `catalog` and the Python calls give, for many callers.

Parameters stand in the address, and the body is a picture, several as parts of a multipart body,
or JSON. Errors are problems (RFC 9457). A change that is sent with an `Idempotency-Key` is done
once, however often it is sent. The `ETag` names the state of the catalogue."""


def create_app(catalog: Catalog, settings: Settings) -> Guard:
    """The service of a catalogue.

    Args:
        catalog: that is open, best with ``isolate``; it is the caller's to close when the
            application has ended.
        settings: how the service is run.

    Raises:
        NotFound, InvalidInput, CatalogError: the file of keys cannot be used.
    """
    keys = Keys(settings.keys) if settings.keys is not None else None
    service = Service(catalog, settings)
    app = FastAPI(
        title="catalog",
        version=version("catalog"),
        description=_DESCRIPTION,
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.service = service
    app.state.methods = lambda path: openapi.methods_at(app.openapi(), path)
    for kind, handler in {
        CatalogError: problems.of_catalogue,
        HTTPException: problems.of_service,
        RequestValidationError: problems.of_parameters,
        Exception: problems.of_fault,
    }.items():
        app.add_exception_handler(kind, handler)
    for routes in (asking, classes, items, journal, reports, jobs, health, page):
        # Not by include_router, which looks through each of them again at every request.
        app.router.routes.extend(routes.router.routes)

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = openapi.describe(app, keys=keys is not None)
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]
    return Guard(app, settings, keys, service)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    working = [
        asyncio.create_task(service.readiness.keep()),
        asyncio.create_task(service.jobs.run()),
    ]
    try:
        yield
    finally:
        for task in working:
            task.cancel()
        for task in working:
            with suppress(asyncio.CancelledError):
                await task
        await asyncio.to_thread(service.close)
