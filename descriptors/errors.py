"""Every error the project raises on purpose, in one tree, with exit code and HTTP status.

::

    CatalogError                      exit 1  500
    |-- InvalidInput                  exit 2  400   an argument makes no sense
    |   `-- InvalidLabel              exit 2  400   a class name that cannot be one
    |-- PictureError                  exit 5  422   a picture is refused; says the reason
    |-- NotFound                      exit 3  404   no such catalogue, class, item or backbone
    |-- Conflict                      exit 1  409   the catalogue holds something against it
    |   |-- LabelConflict             exit 1  409   the class, or one spelt almost alike, exists
    |   |-- EmbedderMismatch          exit 1  409   descriptors of two embedders would be mixed
    |   |-- NewerFormat               exit 1  409   written by a later version of this program
    |   `-- Superseded                exit 1  409   what was being read was dropped; ask again
    |-- BackboneError                 exit 1  500   a network cannot be fetched, read or trusted
    |-- NoSpace                       exit 1  507   the disk is full
    |-- Locked                        exit 6  503   another process is writing
    `-- Damaged                       exit 7  500   the catalogue file fails its checks

A message says what is wrong and what to do about it. Exit codes 0 (ok) and 4 (doubt, with
``--strict``) belong to no error.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

RefusalReason = Literal[
    "too_large", "unsupported", "truncated", "corrupt", "empty", "unreadable", "timeout"
]
"""Why a picture is refused, in a word."""


class CatalogError(Exception):
    """What every error of this project is, so that one ``except`` catches them all."""

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500


class InvalidInput(CatalogError):
    """An argument, option or manifest makes no sense."""

    exit_code = 2
    http_status = 400


class InvalidLabel(InvalidInput):
    """A class name is empty, too long, or holds control characters."""


class PictureError(CatalogError):
    """A picture is refused at the door.

    ``reason`` is one of the :data:`RefusalReason` words; ``source`` says which picture, where
    that is known.
    """

    exit_code = 5
    http_status = 422

    def __init__(self, reason: RefusalReason, detail: str, source: str | None = None) -> None:
        self.reason: RefusalReason = reason
        self.detail = detail
        self.source = source
        super().__init__(f"{source}: {detail} ({reason})" if source else f"{detail} ({reason})")

    def __reduce__(self) -> tuple[Any, ...]:
        """How it is copied and pickled: by its own arguments, which are not those of its base."""
        return type(self), (self.reason, self.detail, self.source), self.__dict__


class NotFound(CatalogError):
    """There is no such catalogue, class, item, event or backbone."""

    exit_code = 3
    http_status = 404


class Conflict(CatalogError):
    """What was asked contradicts what the catalogue holds."""

    http_status = 409


class LabelConflict(Conflict):
    """The class exists, or one does whose name differs only by case, accents or spacing."""


class EmbedderMismatch(Conflict):
    """Descriptors of two embedders would be mixed; the message names both."""


class NewerFormat(Conflict):
    """The catalogue was written by a later version of this program."""


class Superseded(Conflict):
    """Descriptors of the state that was being read were dropped or forgotten meanwhile."""


class BackboneError(CatalogError):
    """A network could not be fetched, read, exported or trusted."""


class NoSpace(CatalogError):
    """The disk is full; nothing was written."""

    http_status = 507


class Locked(CatalogError):
    """Another process held the catalogue's write lock for too long; the message names it."""

    exit_code = 6
    http_status = 503


class Damaged(CatalogError):
    """The catalogue file fails its checks."""

    exit_code = 7
