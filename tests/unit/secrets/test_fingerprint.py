"""Fingerprints: releases are labelled with them."""

from __future__ import annotations

import hashlib
import threading

import pytest

from slipway.secrets import fingerprint as module
from slipway.secrets.fingerprint import begin_fingerprint, fingerprint


def test_a_fingerprint_is_what_it_always_was_since_releases_are_labelled_with_it() -> None:
    assert fingerprint({"KEY": "aaaa", "B": "ü$'"}) == "362d16e5ee75ba424d0651b067eaf00f"
    assert fingerprint({}) == ""


def test_the_order_of_the_names_is_not_in_it_and_every_value_is() -> None:
    assert fingerprint({"A": "1", "B": "2"}) == fingerprint({"B": "2", "A": "1"})
    assert fingerprint({"A": "1", "B": "2"}) != fingerprint({"A": "1", "B": "3"})


def test_one_that_was_begun_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, texts = threading.Event(), list[bytes]()

    def slow(text: bytes, **options: int | bytes) -> bytes:
        begun.set()
        texts.append(text)
        return hashlib.sha256(text).digest()

    monkeypatch.setattr(module.hashlib, "scrypt", slow)
    begin_fingerprint({"BEGUN": "1"})
    assert begun.wait(10)
    assert fingerprint({"BEGUN": "1"}) == fingerprint({"BEGUN": "1"})
    assert texts == [b"BEGUN=1"]
