"""The services' own tests, as `lein test` runs them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.project import ROOT, lein_test
from tests.lab.hands import MAIL, SERVICES

pytestmark = pytest.mark.lab


@pytest.mark.parametrize(
    "folder", [*(ROOT / "services" / name for name in SERVICES), MAIL / "mail"], ids=lambda f: f.name
)
def test_a_services_own_tests_pass_and_there_are_some(folder: Path) -> None:
    said = lein_test(folder)
    ran = re.search(r"^Ran (\d+) tests containing (\d+) assertions\.\n0 failures, 0 errors\.$", said, re.MULTILINE)
    assert ran, said
    assert int(ran[1]) > 0
    assert re.search(rf"^lein test helping-hands\.{folder.name}\.|^lein test {folder.name}\.", said, re.MULTILINE), (
        said
    )  # its own
