"""Which machine the figures belong to.

Owns: the description that stands with every result. Refuses: figures; those are ratios elsewhere.
"""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import grpc

CPU_INFO = Path("/proc/cpuinfo")
MEMORY_INFO = Path("/proc/meminfo")
MOUNTS = Path("/proc/mounts")


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine and what ran on it; `memory_mib` 0: not known."""

    cpu_model: str
    cores: int
    memory_mib: int
    kernel: str
    python: str
    grpcio: str
    storage: str

    def __str__(self) -> str:
        memory = f"{self.memory_mib / 1024:.0f} GiB, " if self.memory_mib else ""
        return (
            f"{self.cpu_model}, {self.cores} cores, {memory}{self.kernel}, "
            f"Python {self.python}, grpcio {self.grpcio}, data on {self.storage}"
        )


def this_machine(folder: Path) -> Machine:
    """Describes the machine that this process runs on, and the file system of the data's folder."""
    return Machine(
        cpu_model=_value(CPU_INFO, "model name") or platform.machine(),
        cores=os.cpu_count() or 1,
        memory_mib=int((_value(MEMORY_INFO, "MemTotal") or "0 kB").split()[0]) // 1024,
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        grpcio=grpc.__version__,
        storage=_file_system(folder.resolve()),
    )


def _file_system(folder: Path) -> str:
    """Gives the kind of the file system that a folder is on; tmpfs, e.g., keeps nothing."""
    if not MOUNTS.exists():
        return "an unknown file system"
    kinds = {}
    for line in MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines():
        _device, mount_point, kind, *_options = line.split(" ")
        kinds[Path(mount_point)] = kind
    return next((kinds[path] for path in (folder, *folder.parents) if path in kinds), "unknown")


def _value(path: Path, key: str) -> str | None:
    """Reads the first `key : value` of a file under /proc; None where there is none."""
    if not path.exists():
        return None
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return None
