"""What holds for every test."""

from __future__ import annotations

import os

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call() -> None:
    """Take away the variable by which pytest names each test to the programs that it runs.

    What Leiningen has said is kept by the environment that it ran in, which no user's runs have anew each time.
    """
    os.environ.pop("PYTEST_CURRENT_TEST", None)


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup() -> None:
    """The same before what a test needs is made."""
    os.environ.pop("PYTEST_CURRENT_TEST", None)
