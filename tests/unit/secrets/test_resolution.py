"""The values of a service's secrets, from their sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.config.models import Environment, Service
from slipway.config.secret_sources.env import FromEnv
from slipway.config.secret_sources.file import FromFile
from slipway.config.secret_sources.generated import Generate, Generated
from slipway.config.secret_sources.reference import Of
from slipway.errors import UsageError
from slipway.secrets.resolution import generated_secrets, resolve

NEW = Generated(generate=Generate())


def test_secrets_come_from_their_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = Service(name="db", secrets={"PASSWORD": NEW})
    user = Service(name="web", secrets={"PASSWORD": Of(of="db"), "A": NEW, "B": NEW})
    (tmp_path / "b").write_text("from file\n")
    monkeypatch.setenv("SECRET_A", "$'\"ü")
    environment = Environment(
        name="local", secrets={"A": FromEnv(env="SECRET_A"), "B": FromFile(file=str(tmp_path / "b"))}
    )
    services = {"db": owner, "web": user}
    assert list(generated_secrets(user, environment, services)) == ["db.PASSWORD"]
    values = resolve(user, environment, services, lambda key, how: f"{key} of {how.bytes} bytes")
    assert values == {"PASSWORD": "db.PASSWORD of 32 bytes", "A": "$'\"ü", "B": "from file"}


def test_a_missing_source_is_named_with_all_others() -> None:
    service = Service(name="web", secrets={"A": NEW, "B": NEW, "C": Of(of="gone")})
    environment = Environment(
        name="x", docker="here", secrets={"A": FromEnv(env="NO_SUCH_VARIABLE"), "B": FromFile(file="/no/such")}
    )
    with pytest.raises(UsageError, match="web: missing secrets in environment x") as caught:
        resolve(service, environment, {}, lambda *_: "")
    assert caught.value.details.splitlines() == [
        "A: the environment variable NO_SUCH_VARIABLE is not set",
        "B: can't read /no/such: No such file or directory",
        "C: service gone has no secret of that name",
    ]


def test_the_secrets_of_an_earlier_release_are_its_own_and_not_those_of_the_file_now() -> None:
    earlier = Service(name="web", secrets={"OLD": Generated(generate=Generate(bytes=16))})
    now = Service(name="web", secrets={"NEW": NEW})
    found = generated_secrets(earlier, Environment(name="local"), {"web": now})
    assert found == {"web.OLD": Generate(bytes=16)}
