"""What processes have used: processor time and memory, from /proc.

Owns: adding up a process and all its descendants. Rules: where there is no /proc, usage is None,
never zero; a process that ends while it is looked at counts as gone.
"""

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
PARENT, USER_TICKS, SYSTEM_TICKS, RESIDENT_PAGES = 1, 11, 12, 21
"""Positions in /proc/PID/stat after the name in brackets, from 0: proc(5) 4, 14, 15 and 24."""

PEAK = "VmHWM:"
FORGET_PEAK = "5"


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor time in seconds since the start, and resident memory in bytes."""

    cpu_s: float
    memory_bytes: int


def usage_of(*process_ids: int | None) -> Usage | None:
    """Adds up what processes and their descendants have used; None when it cannot be known."""
    waiting = [id_ for id_ in process_ids if id_ is not None]
    known = all((PROC / str(id_) / "stat").exists() for id_ in waiting)
    if not known or len(waiting) < len(process_ids):
        return None
    found = _processes()
    children: dict[int, list[int]] = defaultdict(list)
    for id_, (parent, _) in found.items():
        children[parent].append(id_)
    cpu_s, memory_bytes = 0.0, 0
    while waiting:
        id_ = waiting.pop()
        waiting += children[id_]
        if id_ in found:
            cpu_s += found[id_][1].cpu_s
            memory_bytes += found[id_][1].memory_bytes
    return Usage(cpu_s=cpu_s, memory_bytes=memory_bytes)


def forget_peak(process_id: int) -> None:
    """Makes the most memory that a process has had what it has now; proc(5), clear_refs."""
    path = PROC / str(process_id) / "clear_refs"
    if path.exists():
        path.write_text(FORGET_PEAK, encoding="ascii")


def peak_of(process_id: int) -> int | None:
    """Gives the most resident memory in bytes that a process has had, without its descendants; None
    when it cannot be known.
    """
    path = PROC / str(process_id) / "status"
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    for line in text.splitlines():
        if line.startswith(PEAK):
            return int(line.removeprefix(PEAK).split()[0]) * 1024
    return None


def share(before: Usage | None, after: Usage | None, elapsed_s: float) -> float | None:
    """Gives the processors used in between: 1.0 is one core all the time."""
    if before is None or after is None or elapsed_s <= 0:
        return None
    return (after.cpu_s - before.cpu_s) / elapsed_s


def _processes() -> dict[int, tuple[int, Usage]]:
    """Reads parent and usage of every process there is."""
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    found = {}
    for path in PROC.glob("[0-9]*/stat"):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:  # it ended meanwhile
            continue
        fields = text.rpartition(")")[2].split()
        ticks = int(fields[USER_TICKS]) + int(fields[SYSTEM_TICKS])
        usage = Usage(
            cpu_s=ticks / ticks_per_s, memory_bytes=int(fields[RESIDENT_PAGES]) * page_bytes
        )
        found[int(path.parent.name)] = (int(fields[PARENT]), usage)
    return found
