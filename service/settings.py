"""How a service is to be run."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from catalog.descriptors import Advice, InvalidInput, NotFound

DEFAULT_PORT = 8765


@dataclass(frozen=True, slots=True)
class Settings:
    """How a service is to be run; checked when it is made.

    Attributes:
        host: the name or address to listen at.
        port: the number; 0 for one that is free.
        keys: the file of keys; None where none are asked for.
        allow: the folders below which files of this computer may be read.
        unprotected: listen at other addresses than this computer's own though there are no keys.
        most_megabytes: of a request's body.
        most_pictures: of a request.
        queue: how many pictures and descriptors may be asked about at once.
        write_queue: how many changes may wait.
        body_seconds: how long a request's body may take to come.

    Raises:
        InvalidInput: that cannot be.
        NotFound: there is no such folder.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    keys: Path | None = None
    allow: tuple[Path, ...] = ()
    unprotected: bool = False
    most_megabytes: int = 64
    most_pictures: int = 100
    queue: int = 64
    write_queue: int = 32
    body_seconds: float = 30.0

    def __post_init__(self) -> None:
        if not 0 <= self.port < 2**16:
            raise InvalidInput(f"a port is a number from 0 to 65535, not {self.port}")
        for name in ("most_megabytes", "most_pictures", "queue", "write_queue", "body_seconds"):
            if getattr(self, name) <= 0:
                raise InvalidInput(f"{name} has to be positive, not {getattr(self, name)}")
        for folder in self.allow:
            if not folder.is_dir():
                raise NotFound(f"there is no folder {folder} whose files could be allowed")
        object.__setattr__(self, "allow", tuple(folder.resolve() for folder in self.allow))
        if self.keys is None and not self.unprotected and not self.is_local:
            raise InvalidInput(
                f"at {self.host} others could read and change the catalogue, and there are no keys",
                Advice("make keys"),
            )

    @property
    def is_local(self) -> bool:
        """Whether nobody but this computer's own programs can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def most_bytes(self) -> int:
        """Of a request's body."""
        return self.most_megabytes * 10**6

    def may_read(self, path: Path | str) -> bool:
        """Whether a file, where its links lead to, lies below a folder that is allowed."""
        try:
            real = Path(path).resolve()
        except (OSError, RuntimeError, ValueError):
            return False
        return any(real.is_relative_to(folder) for folder in self.allow)
