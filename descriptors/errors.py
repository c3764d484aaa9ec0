"""Every error the project raises on purpose, in one tree, with exit code and HTTP status.

::

    CatalogError                      exit 1  500
    |-- InvalidInput                  exit 2  400   an argument makes no sense
    |   `-- InvalidLabel              exit 2  400   a class name that cannot be one
    |-- PictureError                  exit 5  422   a picture is refused; says the reason
    |-- NotFound                      exit 3  404   no such catalogue, class, item or backbone
    |-- Conflict                      exit 1  409   the catalogue holds something against it
    |   |-- LabelConflict             exit 1  409   the class exists
    |   |-- EmbedderMismatch          exit 1  409   descriptors of two embedders would be mixed
    |   |-- NewerFormat               exit 1  409   written by a later version of this program
    |   |-- Superseded                exit 1  409   what was being read was dropped; ask again
    |   `-- Switched                  exit 1  409   another embedder is in use by now; ask again
    |-- Cancelled                     exit 1  409   someone asked the job to stop
    |-- BackboneError                 exit 1  500   a network cannot be fetched, read or trusted
    |-- NoSpace                       exit 1  507   the disk is full
    |-- Locked                        exit 6  503   another process is writing
    `-- Damaged                       exit 7  500   the catalogue file fails its checks

An error says what is wrong (its ``fact``), and may carry a kind of advice, which each face of the
program words in its own terms; ``str`` of an error words it for Python. Exit codes 0 (ok) and 4
(doubt) belong to no error.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from catalog.descriptors.advice import Advice

RefusalReason = Literal[
    "too_large", "unsupported", "truncated", "corrupt", "empty", "unreadable", "timeout"
]
"""Why a picture is refused, in a word."""


class CatalogError(Exception):
    """What every error of this project is, so that one ``except`` catches them all.

    Args:
        fact: what is wrong, in words that hold wherever they are read.
        advice: what can be done about it, if there is more to say than that.
    """

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(self, fact: str, advice: Advice | None = None) -> None:
        self.fact = fact
        self.advice = advice
        super().__init__(fact, advice)

    def __str__(self) -> str:
        return self.fact if self.advice is None else f"{self.fact}; {self.advice}"


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
    """The class exists.

    ``existing`` is the name of that class.
    """

    def __init__(self, fact: str, advice: Advice | None = None, *, existing: str = "") -> None:
        self.existing = existing
        super().__init__(fact, advice)


class EmbedderMismatch(Conflict):
    """Descriptors of two embedders would be mixed.

    ``own`` is the fingerprint of the catalogue's embedder, ``other`` that of the other.
    """

    def __init__(
        self, fact: str, advice: Advice | None = None, *, own: str = "", other: str = ""
    ) -> None:
        self.own = own
        self.other = other
        super().__init__(fact, advice)


class NewerFormat(Conflict):
    """The catalogue was written by a later version of this program, in the format ``found``."""

    def __init__(self, fact: str, advice: Advice | None = None, *, found: int = 0) -> None:
        self.found = found
        super().__init__(fact, advice)


class Superseded(Conflict):
    """Descriptors of the state that was being read were dropped or forgotten meanwhile."""


class Switched(Conflict):
    """The catalogue went over to another embedder while it was asked."""


class Cancelled(CatalogError):
    """A job was asked to stop, and did; what it has done is kept."""

    http_status = 409


class BackboneError(CatalogError):
    """A network could not be fetched, read, exported or trusted."""


class NoSpace(CatalogError):
    """The disk is full; nothing was written."""

    http_status = 507


class Locked(CatalogError):
    """Another process held the catalogue for too long; ``holder`` says which, where it is known."""

    exit_code = 6
    http_status = 503

    def __init__(self, fact: str, advice: Advice | None = None, *, holder: str = "") -> None:
        self.holder = holder
        super().__init__(fact, advice)


class Damaged(CatalogError):
    """The catalogue file fails its checks."""

    exit_code = 7
