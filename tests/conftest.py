"""Shapes are checked while tests run; fixtures that every room's tests may use."""

import os
from importlib.util import find_spec
from pathlib import Path

# One thread a test process: two that share two cores with other tests wait for each other more than they work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

# What every step of every fit passes through many times over: checking these would double the time of all tests, and
# what goes into them and comes out is checked at the modules around them.
HOT = {
    *("core._collect", "core._keys", "core._layout", "core._mixing", "core._penalties"),
    *("training._evaluator", "training._executors", "training._plan", "training._program", "training._step"),
    *("optim._adam", "optim._clipping", "optim._rule"),
}


def _check_shapes() -> None:
    """Every annotation of shape and type in tutti, but for HOT, is checked at each call."""
    spec = find_spec("tutti")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    (root,) = spec.submodule_search_locations
    parts = [p.relative_to(root).with_suffix("").parts for p in Path(root).rglob("*.py")]
    names = {".".join(part) for part in parts if part[-1] != "__init__"} - HOT
    install_import_hook([f"tutti.{name}" for name in sorted(names)], "beartype.beartype")


_check_shapes()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets: TUTTI_DATA, else ../shared/data beside the checkout; else the test skips."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TUTTI_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no shared data: set TUTTI_DATA (looked in {folder})")
    return folder


# How slowly examples are drawn says how busy the machine is, not whether tutti is right.
settings.register_profile("tutti", suppress_health_check=[HealthCheck.too_slow], deadline=None)
settings.load_profile("tutti")
