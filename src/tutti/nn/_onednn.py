"""Which library multiplies float32 matrices on the CPU: MKL, or oneDNN where it is faster and as exact.

On processors that are not Intel's, MKL multiplies with vectors of half the width that AVX-512 has; oneDNN, which
torch carries for convolutions, uses them whole: 185 against 400 GFLOP/s on two cores of an AMD EPYC (docs/LOG.md,
2026-11-21). torch sends float32 products there where it is told that bfloat16 would do; without matrix units for
bfloat16 (AMX) oneDNN computes in float32 all the same, which is measured here before it is relied on.
"""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

_LEAST_ALONE = 2**22  # multiply-adds of one product: a call of oneDNN costs 10 to 15 µs more than one of MKL
_LEAST_EACH = 2**18  # multiply-adds of each member's product in a stack
_EXACT = 1e-5  # relative error that float32 keeps within on 128 terms; bfloat16 makes 1e-3


def worthwhile(multiply_adds: int, *, stacked: bool) -> bool:
    """Whether products of this size are to go to oneDNN here.

    multiply_adds: of one member, so that its numbers do not depend on how many neighbours it has.
    """
    return multiply_adds >= (_LEAST_EACH if stacked else _LEAST_ALONE) and _faster_and_exact()


@contextmanager
def onednn() -> Iterator[None]:
    """Within, torch's float32 products on the CPU go to oneDNN."""
    products = _products()
    before = products.fp32_precision
    products.fp32_precision = "bf16"
    try:
        yield
    finally:
        products.fp32_precision = before


def _products() -> Any:
    return getattr(torch.backends.mkldnn, "matmul", None)


@lru_cache(maxsize=1)
def _faster_and_exact() -> bool:
    if not hasattr(_products(), "fp32_precision"):  # torch before 2.9
        return False
    if not torch.backends.mkldnn.is_available() or torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    return "Intel" not in _vendor() and _is_exact()


def _vendor() -> str:
    """Who made the processor, as far as the system tells."""
    told = Path("/proc/cpuinfo")  # of Linux
    if not told.exists():
        return platform.processor()
    lines = told.read_text(errors="replace").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("vendor_id")), "")


@torch.no_grad()
def _is_exact() -> bool:
    """Whether products that go to oneDNN keep float32's precision. Nothing is drawn: vmap may be under way."""
    numbers = torch.arange(2 * 128**2, dtype=torch.float32, device="cpu").square_().mul_(0.1).sin_()
    left, right = numbers.view(2, 128, 128).unbind()
    with onednn():
        found = left @ right
    exact = left.double() @ right.double()
    return bool((found - exact).abs().max() <= _EXACT * exact.abs().max())
