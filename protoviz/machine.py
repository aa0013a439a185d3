"""The cores and the free memory of this machine."""

import os
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: "200000 100000" is two cores, "max 100000" all
MEMORY = Path("/proc/meminfo")
LIMIT, USED = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")  # of a container


def cores() -> int:
    """The processor cores that this process may use, at least one."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = QUOTA.read_text().split()
        return max(1, min(available, int(quota) // int(period)))
    except (OSError, ValueError):
        return available


def free_memory() -> int:
    """Bytes of main memory that a process may still ask for; 4 GiB where the system does not say."""
    try:
        lines = dict(line.split(":") for line in MEMORY.read_text().splitlines())
        available = 1024 * int(lines["MemAvailable"].split()[0])
    except (OSError, ValueError, KeyError):
        return 4 << 30
    try:
        limit = int(LIMIT.read_text()) - int(USED.read_text())
    except (OSError, ValueError):  # no container, or one without a limit: "max"
        return available
    return max(0, min(available, limit))
