"""No content of a kubeconfig gives a traceback."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings

from tests.unit.kubernetes.fuzz import CONTENTS, use


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(content=CONTENTS)
def test_any_kubeconfig_is_used_or_refused(tmp_path: Path, content: bytes) -> None:
    use(tmp_path, content)
