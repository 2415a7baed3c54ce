"""Where a run was made: versions and hardware, never who or where."""

import os
import platform
from typing import Any

import numpy as np
import torch

from tutti import __version__


def environment() -> dict[str, Any]:
    """Versions of tutti, Python, torch and numpy; the system, processor, cores, threads and accelerators.

    No user name, host name or path is in it, so that a run folder and its report can be shown to anyone.
    """
    cuda = torch.cuda.is_available()
    return {
        "tutti": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "system": platform.system(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "accelerators": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if cuda else [],
    }


def _processor() -> str:
    """The processor's model in words: Linux tells it in /proc/cpuinfo, other systems through `platform`."""
    try:
        with open("/proc/cpuinfo", encoding="utf8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
