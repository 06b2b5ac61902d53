"""One verified SSH connection, made by Fabric with the user's ssh_config and agent; every refusal in plain words."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from fabric import Config, Connection
from paramiko import PKey, SSHClient
from paramiko.client import MissingHostKeyPolicy
from paramiko.ssh_exception import (
    AuthenticationException,
    BadAuthenticationType,
    BadHostKeyException,
    PasswordRequiredException,
    SSHException,
)

from slipway.config.load import given
from slipway.config.models import HostEntry, Hosts
from slipway.errors import ExitCode, Lost, Problem

CONNECT = 10  # seconds to connect, and again for the banner and for the authentication
KEEPALIVE = 5  # seconds between two signs of life
SILENT = 20_000  # milliseconds after which unanswered data mean that the link is gone (TCP_USER_TIMEOUT, tcp(7))


class Ask(Protocol):
    """Who is asked for a secret of a host: `sudo`, `password` or `passphrase`. Raises Problem if nobody can say."""

    def __call__(self, kind: str, host: str) -> str: ...


class Away(Lost):
    """Nobody answers at a host's address."""


class _Unknown(Exception):
    def __init__(self, key: PKey) -> None:
        super().__init__(key.get_name())
        self.key = key


class _Refuse(MissingHostKeyPolicy):
    def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:  # noqa: ARG002  a fixed signature
        raise _Unknown(key)


def entry(name: str, hosts: Hosts) -> HostEntry:
    """A host of hosts.yaml, or one that only ~/.ssh/config knows."""
    return hosts.hosts.get(name) or HostEntry(address=name)


def known_hosts(hosts: Hosts) -> Path:
    """The file that host keys are looked up in and recorded to."""
    return Path(hosts.known_hosts or "~/.ssh/known_hosts").expanduser()


@cache
def _config() -> Config:
    return Config()


def _made(name: str, hosts: Hosts, secrets: dict[str, str]) -> Connection:
    """A connection that is not open yet, each of its jumps guarded like itself."""
    mine = entry(name, hosts)
    gateway = _made(mine.jump, hosts, secrets) if mine.jump else None
    shared: dict[str, Any] = {f"{what}_timeout": CONNECT for what in ("banner", "auth", "channel")} | secrets
    options = dict(shared)
    if mine.key:
        options |= {"key_filename": str(Path(mine.key).expanduser()), "look_for_keys": False, "allow_agent": False}
    made = Connection(
        mine.address, user=mine.user, port=mine.port, gateway=gateway, config=_config(), connect_kwargs=options
    )
    link: Any = made
    while isinstance(link, Connection):  # itself, and every jump before it, those of ~/.ssh/config too
        link.connect_kwargs = {**shared, **link.connect_kwargs}
        link.client.set_missing_host_key_policy(_Refuse())
        if known_hosts(hosts).is_file():
            link.client.load_host_keys(str(known_hosts(hosts)))
        if hosts.known_hosts is None and Path("/etc/ssh/ssh_known_hosts").is_file():
            link.client.load_system_host_keys("/etc/ssh/ssh_known_hosts")
        if link.gateway is None:
            link.connect_kwargs["sock"] = _socket(link)
        link = link.gateway
    return made


def _socket(link: Connection) -> socket.socket:
    """The first hop's own socket: without Nagle's delay, and one that notices when nobody answers any more."""
    made = socket.create_connection((link.host, link.port), timeout=link.connect_timeout or CONNECT)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENT)
    return made


def connect(name: str, hosts: Hosts, ask: Ask) -> Connection:
    """An open connection whose host key was verified. Raises Problem that says why there is none, and what to do."""
    secrets: dict[str, str] = {}
    for kind, variable in (("password", "SLIPWAY_SSH_PASSWORD"), ("passphrase", "SLIPWAY_SSH_PASSPHRASE")):
        if given(variable, name) is not None:
            secrets[kind] = ask(kind, name)
    while True:
        with _told(name, hosts):
            try:
                return _open(name, hosts, secrets)
            except PasswordRequiredException:
                if "passphrase" in secrets:
                    raise
                secrets["passphrase"] = ask("passphrase", name)
            except BadAuthenticationType as error:
                if "password" in secrets or "password" not in error.allowed_types or entry(name, hosts).key:
                    raise
                secrets["password"] = ask("password", name)


def _open(name: str, hosts: Hosts, secrets: dict[str, str]) -> Connection:
    made = _made(name, hosts, secrets)
    try:
        made.open()
    except BaseException:
        made.client.close()
        raise
    transport = made.client.get_transport()
    if transport:
        transport.set_keepalive(KEEPALIVE)
    return made


def offered(name: str, hosts: Hosts) -> tuple[str, PKey, PKey | None]:
    """The name under which a host's key is kept, the key that it shows, and the one that is on record. No login."""
    mine = entry(name, hosts)
    with _told(name, hosts, trusting=True):
        made = _made(name, hosts, {})
        place = made.host if made.port == 22 else f"[{made.host}]:{made.port}"
        try:
            made.connect_kwargs |= {"allow_agent": False, "look_for_keys": False, "password": "", "key_filename": None}
            made.open()
        except _Unknown as error:
            if mine.jump and not made.client.get_transport():
                raise
            return place, error.key, None
        except BadHostKeyException as error:
            return place, error.key, error.expected_key
        except AuthenticationException:
            transport = made.client.get_transport()
            if transport is None:
                raise
            key = transport.get_remote_server_key()
            return place, key, key
        finally:
            made.client.close()
        transport = made.client.get_transport()
        if transport is None:
            raise SSHException("the connection ended")
        key = transport.get_remote_server_key()
        return place, key, key


def record(place: str, key: PKey, hosts: Hosts) -> Path:
    """Write a key behind the known ones; the file."""
    file = known_hosts(hosts)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with file.open("a+") as kept:
        kept.seek(0)
        text = kept.read()
        kept.write(("" if not text or text.endswith("\n") else "\n") + f"{place} {key.get_name()} {key.get_base64()}\n")
    file.chmod(0o600)
    return file


@contextmanager
def _told(name: str, hosts: Hosts, *, trusting: bool = False) -> Iterator[None]:
    mine = entry(name, hosts)
    where = f"{name} ({mine.address})" if mine.address != name else name
    check = f"ssh -v {mine.address} says more; the host's entry is in hosts.yaml"
    try:
        yield
    except _Unknown as error:
        why = f"{error.key.get_name()} {error.key.fingerprint}"
        fix = f"compare it with the host's own, then ./invoke host.trust --host {name}"
        if trusting and mine.jump:
            fix = f"./invoke host.trust --host {mine.jump}"
        raise Problem(f"{where}: its host key is not known here", why=why, fix=fix, code=ExitCode.UNREACHABLE) from None
    except BadHostKeyException as error:
        why = f"on record {error.expected_key.fingerprint}\nnow shown {error.key.fingerprint}"
        fix = (
            "somebody may be in between: ask who runs it. If the host was made anew: "
            f"ssh-keygen -f '{known_hosts(hosts)}' -R '{error.hostname}', then ./invoke host.trust --host {name}"
        )
        raise Problem(f"{where}: its host key HAS CHANGED", why=why, fix=fix, code=ExitCode.UNREACHABLE) from None
    except PasswordRequiredException as error:
        fix = f"ssh-add {mine.key or 'the key'}, or set SLIPWAY_SSH_PASSPHRASE"
        raise Problem(f"{where}: its key wants a passphrase", why=str(error), fix=fix, code=ExitCode.USAGE) from error
    except AuthenticationException as error:
        user = f"as {mine.user} " if mine.user else ""
        fix = f"put your public key there: ssh-copy-id {mine.address}; or set SLIPWAY_SSH_PASSWORD. {check}"
        why = str(error) or "authentication failed"
        raise Problem(f"{where} lets nobody in {user}with what was tried", why=why, fix=fix,
                      code=ExitCode.UNREACHABLE) from error  # fmt: skip
    except socket.gaierror as error:
        fix = "is `address` in hosts.yaml spelled as the host is called?"
        raise Problem(
            f"{where}: the name has no address", why=str(error), fix=fix, code=ExitCode.UNREACHABLE
        ) from error
    except ConnectionRefusedError as error:
        fix = f"is sshd running there, and on port {mine.port or 22}? {check}"
        raise Away(f"{where} refuses connections", why=str(error), fix=fix) from error
    except TimeoutError as error:
        fix = f"is it running, and does a firewall let port {mine.port or 22} through? {check}"
        raise Away(f"{where} does not answer within {CONNECT} s", why=str(error), fix=fix) from error
    except (OSError, EOFError, SSHException) as error:
        if "No authentication methods" in str(error):
            fix = f"start an agent with a key, name one in hosts.yaml, or set SLIPWAY_SSH_PASSWORD. {check}"
            what = f"{where} lets nobody in, and there is nothing to try"
            raise Problem(what, why=str(error), fix=fix, code=ExitCode.UNREACHABLE) from error
        if isinstance(error, SSHException) and "passphrase" in str(error):
            fix = "SLIPWAY_SSH_PASSPHRASE is not this key's"
            raise Problem(f"{where}: its key can't be read", why=str(error), fix=fix, code=ExitCode.USAGE) from error
        raise Away(f"{where} can't be reached", why=f"{type(error).__name__}: {error}", fix=check) from error
