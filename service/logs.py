"""What is written to the log: a JSON object a line, on standard error."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from catalog.text import written


class JsonLines(logging.Formatter):
    """Writes what is logged as one line of JSON, with the fields that it came with."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as a line."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "from": record.name,
            "says": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return written(json.dumps(line, ensure_ascii=False, default=str))


def prepare(level: str) -> None:
    """Log to standard error what this program and its server have to say, from a level on."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    for name in ("catalog", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        # The server's own steps are of no use to anyone but who looks for a fault in it.
        least = "warning" if name == "uvicorn" and level == "info" else level
        logger.setLevel(least.upper())
        logger.propagate = False
