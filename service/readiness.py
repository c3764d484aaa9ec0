"""Whether the service can answer at once, and what is done so that it can."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from catalog import Catalog
from catalog.descriptors import CatalogError
from catalog.service.lanes import Lane

_LOOK_SECONDS: Final = 0.5
_log = logging.getLogger(__name__)


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
        self._lane = Lane("getting ready", 1, 2)

    async def keep(self) -> None:
        """Look again and again, until cancelled."""
        before: str | None = None
        while True:
            try:
                present = await self._lane(lambda: self._catalog.state)
                if present != self.prepared and before in {None, present}:
                    await self._lane(self._catalog.prepare)
                    if self.prepared is None:
                        _log.info("ready")
                    self.prepared, self.trouble = present, None
                before = present
            except (CatalogError, OSError) as error:
                if self.trouble is None:
                    _log.warning("not ready: %s", error)
                self.trouble = str(error)
            await asyncio.sleep(_LOOK_SECONDS)

    def close(self) -> None:
        """Finish what is under way."""
        self._lane.close()
