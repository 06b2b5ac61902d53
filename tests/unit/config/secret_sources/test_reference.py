"""`of`: another service's secret."""

from __future__ import annotations

from slipway.config.secret_sources.reference import Of


def test_it_is_generated_for_the_other_service() -> None:
    assert Of(of="db").owner("web") == "db"
