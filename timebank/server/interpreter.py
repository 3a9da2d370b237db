"""The interpreter of a server process: many long-lived objects, one busy thread, some that wait."""

import gc
import sys

SWITCH_S = 0.0005
"""A thread that comes back from SQLite waits at most this long for the interpreter lock."""
GC_ALLOCATIONS = 50_000
GC_GENERATION = 50
"""What services keep in memory is never garbage: looking through it for cycles took a tenth of the
time of the ledger, and a fifth of closing a large day.
"""


def tune_interpreter() -> None:
    """Suits the interpreter to a server; what was imported by now is never looked through again."""
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS, GC_GENERATION, GC_GENERATION)
    sys.setswitchinterval(SWITCH_S)
