"""What some commands need beside the rest: the libraries of an extra."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from catalog.descriptors.advice import AdviceKind


def require(libraries: Iterable[str], what: str, advice: AdviceKind) -> None:
    """Make sure that libraries are installed.

    Args:
        libraries: by the names that they are imported by.
        what: needs them.
        advice: says how they are installed.

    Raises:
        CatalogError: one is not.
    """
    from catalog.descriptors import Advice, CatalogError

    lacking = [name for name in libraries if find_spec(name) is None]
    if lacking:
        raise CatalogError(
            f"{what} needs libraries that are not installed: {', '.join(lacking)}", Advice(advice)
        )
