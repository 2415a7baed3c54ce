"""Fixtures that every room's tests may use."""

import os
from pathlib import Path

# One thread a test process: two that share two cores with other tests wait for each other more than they work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets: TUTTI_DATA, else ../shared/data beside the checkout; else the test skips."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TUTTI_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no shared data: set TUTTI_DATA (looked in {folder})")
    return folder
