"""Fingerprints: releases are labelled with them."""

from __future__ import annotations

from slipway.secrets.fingerprint import fingerprint


def test_a_fingerprint_is_what_it_always_was_since_releases_are_labelled_with_it() -> None:
    assert fingerprint({"KEY": "aaaa", "B": "ü$'"}) == "362d16e5ee75ba424d0651b067eaf00f"
    assert fingerprint({}) == ""


def test_the_order_of_the_names_is_not_in_it_and_every_value_is() -> None:
    assert fingerprint({"A": "1", "B": "2"}) == fingerprint({"B": "2", "A": "1"})
    assert fingerprint({"A": "1", "B": "2"}) != fingerprint({"A": "1", "B": "3"})
