"""What this computer has of what the program needs, looked at without importing any of it.

Needs the standard library alone, and imports none of the other packages, so that it can still say
what is wrong where they cannot be imported.
"""

from catalog.machine.check import Check, State
from catalog.machine.examination import IMPORTS, examine, model_cache

__all__ = ["IMPORTS", "Check", "State", "examine", "model_cache"]
