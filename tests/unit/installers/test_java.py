"""Java on a host: which JDK is new enough, and whether Clojars can be reached."""

from __future__ import annotations

import pytest
import requests

from slipway.errors import Problem
from slipway.installers import java
from tests.facts import recorded


def test_an_old_jdk_is_named_in_the_reason() -> None:
    change = java.jdk_differs(recorded(jdk="11.0.2 /usr/lib/jvm/java-11"), 17)
    assert change
    assert "11.0.2" in change.reason
    assert java.jdk_differs(recorded(jdk="21.0.1 /opt/jdk"), 17) is None


def test_an_untrusted_certificate_of_clojars_is_an_error_and_not_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise requests.exceptions.SSLError("CERTIFICATE_VERIFY_FAILED")

    monkeypatch.setattr(requests, "head", refuse)
    monkeypatch.setattr(java, "clojars_url", lambda _: "https://repo.clojars.org/")
    with pytest.raises(Problem, match=r"the certificate of repo.clojars.org is not trusted") as caught:
        java.clojars_answers(recorded())
    assert "update-ca-certificates" in caught.value.hint
