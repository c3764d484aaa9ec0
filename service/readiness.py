"""Whether the service can answer at once, and what is done so that it can."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final

from catalog import Catalog
from catalog.descriptors import CatalogError
from catalog.service.lanes import Lane

_LOOK_SECONDS: Final = 0.5
_log = logging.getLogger(__name__)


def _identity(path: Path) -> tuple[int, int]:
    """Which file lies at a path; none has the number 0."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino


class Readiness:
    """Loads the network, and computes what answers rest on whenever the catalogue has changed.

    It waits until nothing has changed for a moment: while a job writes class after class, questions
    compute what they need, and nothing is computed that nobody asks for.

    Args:
        catalog: that is asked.

    Attributes:
        prepared: the state for which all is at hand; None at first.
        trouble: what keeps it from being so.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.prepared: str | None = None
        self.trouble: str | None = None
        self._catalog = catalog
        self._file = _identity(catalog.path)
        self._lane = Lane("getting ready", 1, 2)

    async def keep(self) -> None:
        """Look again and again, until cancelled."""
        before: str | None = None
        while True:
            try:
                present = await self._lane(self._present)
                if present != self.prepared and before in {None, present}:
                    await self._lane(self._catalog.prepare)
                    if self.prepared is None:
                        _log.info("ready")
                    self.prepared, self.trouble = present, None
                before = present
            except Exception as error:  # noqa: BLE001 -- it is tried again
                if self.trouble is None:
                    _log.warning("not ready: %s", type(error).__name__)
                self.trouble = str(error)
            await asyncio.sleep(_LOOK_SECONDS)

    def _present(self) -> str:
        """The name of the present state.

        Raises:
            CatalogError: the file is another one than was opened, so nothing of it is seen.
        """
        if self._file != _identity(self._catalog.path):
            self.prepared = None
            raise CatalogError(
                "the catalogue's file was replaced or is gone; start the service anew"
            )
        return self._catalog.state

    def close(self) -> None:
        """Finish what is under way."""
        self._lane.close()
