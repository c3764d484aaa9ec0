"""Jobs, one after another, each in a process of its own."""

from __future__ import annotations

import asyncio
import logging
import subprocess
from pathlib import Path
from typing import Any, Final

from catalog import Catalog
from catalog.descriptors import Locked
from catalog.service.job_process import command
from catalog.service.lanes import Lane
from catalog.service.problems import Refused
from catalog.service.settings import Settings

_MOST_WAITING: Final = 100
_LOOK_SECONDS: Final = 0.1
_AGAIN_SECONDS: Final = 1.0
_log = logging.getLogger(__name__)


class JobRunner:
    """Starts the jobs that wait; those that a former service has left, too.

    A job goes on when the service is stopped, since its process is its own; one that waits then is
    begun by the next service.

    Args:
        catalog: whose jobs they are.
        settings: of the service.

    Attributes:
        at: the job whose process has not ended yet; it may be told to be done before.
    """

    def __init__(self, catalog: Catalog, settings: Settings) -> None:
        self._catalog = catalog
        self._settings = settings
        self._lane = Lane("a job", 1, _MOST_WAITING)
        self._come = asyncio.Event()
        self.at: int | None = None

    async def require(self, request: dict[str, Any]) -> None:
        """Make sure that a job may be noted.

        Raises:
            Refused: too many wait, it would read what the service may not, or there is nothing.
        """
        await self._lane(self._require, request)

    def come(self) -> None:
        """Look whether a job waits."""
        self._come.set()

    def _require(self, request: dict[str, Any]) -> None:
        if sum(job.state == "waiting" for job in self._catalog.jobs()) >= _MOST_WAITING:
            raise Refused(503, "busy", "too many jobs wait", headers={"retry-after": "60"})
        source = request.get("source")
        if source is None:
            return
        if not self._settings.may_read(source):
            raise Refused(
                403,
                "not-allowed",
                f"{source} lies outside of the folders that this service may read; they are named "
                "by --allow when it is started",
            )
        if not Path(source).is_absolute():
            raise Refused(400, "invalid-input", f"a source is an absolute path, not {source!r}")
        if not Path(source).exists():
            raise Refused(404, "not-found", f"there is nothing at {source}")

    async def run(self) -> None:
        """Do what waits, until cancelled."""
        while True:
            try:
                await self._next()
            except Exception as error:  # noqa: BLE001 -- for a catalogue that is locked, say
                _log.warning("jobs wait: %s", type(error).__name__)
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _next(self) -> None:
        """Do one job, or wait until there is one."""
        self._come.clear()
        known = await self._lane(self._catalog.jobs)
        waiting = [job for job in known if job.state == "waiting"]
        if waiting:
            await self._do(waiting[0].id)
        else:
            await self._come.wait()

    async def _do(self, job: int) -> None:
        _log.info("job %d begins", job)
        # Not one of asyncio's, which it kills when the loop is closed.
        process = subprocess.Popen(  # noqa: S603
            command(self._catalog.path, job, self._settings.allow),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.at = job
        while process.poll() is None:
            await asyncio.sleep(_LOOK_SECONDS)
        self.at = None
        left = [one.state for one in await self._lane(self._catalog.jobs) if one.id == job]
        if left == ["waiting"] and process.returncode == Locked.exit_code:
            await asyncio.sleep(_AGAIN_SECONDS)  # another process was writing; it is begun again
        elif left == ["waiting"]:  # its process did not come to begin it
            _log.error("job %d could not be begun: exit status %s", job, process.returncode)
            why = "the process that was to do it could not begin; the service's log says more"
            await self._lane(self._catalog.cancel_job, job, because=why)

    def close(self) -> None:
        """Let go of the jobs; those that are begun go on."""
        self._lane.close()
