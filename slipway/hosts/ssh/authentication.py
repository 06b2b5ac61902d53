"""Logging in: the keys that ssh would offer, in its order, then passwords."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from paramiko import AgentKey, Message, PKey, Transport
from paramiko.agent import AgentSSH
from paramiko.pkey import PublicBlob
from paramiko.ssh_exception import (
    AuthenticationException,
    BadAuthenticationType,
    PasswordRequiredException,
    SSHException,
)

from slipway.config.paths import is_file
from slipway.engine.cancellation import Cancel
from slipway.errors import UsageError
from slipway.hosts.ssh.host_key import CERTIFIED, key_type
from slipway.hosts.ssh.key_query import KeyQuery
from slipway.hosts.ssh.private_keys import load_private_key, public_key
from slipway.hosts.ssh.ssh_config import SshConfig

AGENT_TIMEOUT = 5.0  # seconds for the agent to list its keys
SIGN_TIMEOUT = 60.0  # seconds for a signature, which may wait for a touch or a confirmation
R = TypeVar("R")
PASSWORD_METHODS = {"password", "keyboard-interactive"}


class AskSecret(Protocol):
    """Asks for a secret of a host: `sudo`, `password` or `passphrase`. Raises UsageError if nobody can be asked."""

    def __call__(self, kind: str, host: str) -> str: ...


class NothingToOffer(AuthenticationException):
    """There is no key, agent or password that the host could accept."""


class TooManyFailures(AuthenticationException):
    """The host hung up before everything was offered (MaxAuthTries in sshd_config(5))."""


class Agent(AgentSSH):  # types-paramiko does not know what its subclasses in paramiko use
    """The agent behind a socket, whose keys sign. `error` says why it can't be asked."""

    def __init__(self, path: str, cancel: Cancel) -> None:
        super().__init__()
        self.error, self._unregister = "", cancel.on_request(self.close)
        if not path:
            return
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(AGENT_TIMEOUT)
        try:
            connection.connect(path)
            self._connect(connection)  # type: ignore[attr-defined]
            connection.settimeout(SIGN_TIMEOUT)
        except (OSError, SSHException) as error:
            connection.close()
            self.error = f"the SSH agent at {path} can't be asked: {error}"

    def give_up(self) -> None:
        """Ask it nothing more: a late signature would be taken for that of the next key."""
        self.error = f"the SSH agent did not sign within {SIGN_TIMEOUT:g} s: does it wait for a touch or an answer?"
        self._shut_down()

    def close(self) -> None:
        """End the conversation; a signature that is waited for is given up."""
        self._unregister()
        self._shut_down()
        self._close()  # type: ignore[attr-defined]

    def _shut_down(self) -> None:
        with contextlib.suppress(OSError):
            if self._conn:  # type: ignore[attr-defined]
                self._conn.shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined]


class SigningKey(AgentKey):
    """A key of an agent. One that the agent does not sign with is passed over, as by ssh."""

    def sign_ssh_data(self, data: Any, algorithm: str | None = None) -> Any:
        try:
            return super().sign_ssh_data(data, algorithm)
        except (SSHException, OSError) as error:
            if isinstance(error, TimeoutError):
                self.agent.give_up()  # type: ignore[attr-defined]
            raise AuthenticationException(f"the SSH agent does not sign: {error}") from error


@dataclass(frozen=True)
class Offer:
    """A key to offer: `public` as it is sent over the wire, signed for by the agent or by a private key file."""

    public: bytes | None
    file: Path | None = None
    agent_key: AgentKey | None = None
    certificate: Path | None = None


def offers(config: SshConfig, agent_keys: Sequence[AgentKey]) -> list[Offer]:
    """The keys that ssh would offer, in its order (pubkey_prepare in sshconnect2.c).

    Certificates that the configuration names; the agent's keys that it names, the agent's others, then key files.
    Those that PubkeyAcceptedAlgorithms or RequiredRSASize leave out are not offered.
    """
    files = list(_file_offers(config))
    certificates = [found for file in config.certificate_files if (found := _certificate(file))]
    named = [_with_private_key(*one, files, agent_keys) for one in certificates]
    preferred: list[Offer] = []
    others: list[Offer] = []
    for key in agent_keys:
        match = next((offer for offer in files if offer.public == key.blob), None)
        if match:
            files.remove(match)
            preferred.append(Offer(key.blob, match.file, key, match.certificate))
        elif not config.identities_only:
            others.append(Offer(key.blob, agent_key=key))
    completed = [_with_agent(offer, agent_keys) for offer in files]
    made = (*named, *preferred, *others, *completed)
    return [offer for offer in made if not offer.public or _is_offered(offer.public, config)]


def _is_offered(public: bytes, config: SshConfig) -> bool:
    """Whether ssh would offer a key of this type and size."""
    message = Message(public)
    kind = message.get_string().decode(errors="replace")
    allowed = config.pubkey_algorithms
    if not kind.startswith("ssh-rsa"):
        return allowed is None or kind in allowed
    if kind.endswith(CERTIFIED):
        message.get_string()  # nonce
    message.get_mpint()  # exponent
    if message.get_mpint().bit_length() < config.required_rsa_size:
        return False
    return allowed is None or kind in map(key_type, allowed)


def _file_offers(config: SshConfig) -> Iterator[Offer]:
    """The identity files that are there, each followed by the certificate beside it."""
    for file in config.identity_files:
        beside = file.with_name(f"{file.name}-cert.pub")
        public = public_key(file)
        if public or is_file(file):
            yield Offer(public, file)
        if not config.certificate_files and (found := _certificate(beside)):
            yield Offer(found[0], file, certificate=beside)


def _certificate(file: Path) -> tuple[bytes, bytes, Path] | None:
    """A certificate as it is sent over the wire, the public key that it certifies, and its file."""
    try:
        data = file.read_bytes()
        identity = serialization.load_ssh_public_identity(data)
        if not isinstance(identity, serialization.SSHCertificate):
            return None
        line = identity.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        return PublicBlob.from_string(data.decode()).key_blob, PublicBlob.from_string(line.decode()).key_blob, file
    except (OSError, ValueError, UnsupportedAlgorithm):
        return None


def _with_private_key(
    blob: bytes, public: bytes, certificate: Path, files: Sequence[Offer], agent_keys: Sequence[AgentKey]
) -> Offer:
    """A certificate with the private key that it belongs to, wherever that is."""
    agent_key = next((key for key in agent_keys if key.blob == public), None)
    file = next((offer.file for offer in files if offer.public == public), None)
    return Offer(blob, file, agent_key, certificate)


def _with_agent(offer: Offer, agent_keys: Sequence[AgentKey]) -> Offer:
    """A certificate beside a key file, signed for by the agent where that has the key."""
    if not (offer.certificate and (found := _certificate(offer.certificate))):
        return offer
    return _with_private_key(*found, [Offer(found[1], offer.file)], agent_keys)


class OpenSshAuthentication:
    """An `auth_strategy` of paramiko that authenticates as ssh does.

    `key` is the only one to offer. `secrets` are the host's own, and get what is asked for.
    """

    def __init__(
        self, name: str, config: SshConfig, key: Path | None, secrets: dict[str, str], ask: AskSecret, cancel: Cancel
    ) -> None:
        self._name, self._config, self._key, self._ask, self._cancel = name, config, key, ask, cancel
        self._secrets = secrets
        self._methods: set[str] = set()
        self._unavailable: UsageError | None = None  # a key or a secret
        self._tried = 0

    def authenticate(self, transport: Transport) -> None:
        """Try what the host accepts until it is content.

        Raises AuthenticationException, or UsageError for a key that can't be read.
        """
        agent = Agent(self._config.identity_agent, self._cancel)
        with contextlib.closing(agent):
            if not self._try(transport, "none") and not any(
                self._try(transport, method, value) for method, value in self._attempts(transport, agent)
            ):
                raise self._failure(agent)

    def _allowed(self, methods: Sequence[str]) -> set[str]:
        return set(methods) - self._config.refused_methods

    def _try(self, transport: Transport, method: str, *value: Any) -> bool:
        """Whether the host is content now. Otherwise it says which methods it accepts next."""
        self._tried += len(value)
        more = self._answer(transport, lambda: getattr(transport, f"auth_{method}")(self._config.user, *value))
        if more is None:
            return False
        self._methods = self._allowed(more)
        return not more

    def _answer(self, transport: Transport, question: Callable[[], R]) -> R | None:
        """What the host answers; None if it refuses."""
        self._cancel.check()
        try:
            return question()
        except BadAuthenticationType as refusal:
            self._methods = self._allowed(refusal.allowed_types)
            return None
        except (SSHException, EOFError) as error:
            if not transport.is_active():
                farewell = getattr(transport, "farewell", "")
                if not farewell and not self._tried:
                    raise EOFError("the connection ended during the login") from error
                raise TooManyFailures(f"{farewell or error} (after {self._tried} keys and passwords)") from error
            return None

    def _attempts(self, transport: Transport, agent: Agent) -> Iterator[tuple[str, Any]]:
        """What is tried, in order, each before the next one is made: nothing is asked for that the host refuses."""
        keys = [SigningKey(agent, key.blob, key.comment) for key in agent.get_keys()]
        offered = offers(self._offering(), keys) if "publickey" in self._methods else []
        if self._key and "publickey" in self._methods and not offered:
            load_private_key(self._key, None)  # raises: it is not there
        encrypted: list[Offer] = []
        for offer in offered:
            if "publickey" not in self._methods:
                break
            try:
                key = self._load(offer, None)
            except PasswordRequiredException:
                if self._password_given and "passphrase" not in self._secrets:  # it may do, without a question
                    encrypted.append(offer)
                    continue
                key = self._decrypted(transport, offer)
            if key:
                yield "publickey", key
        if self._password_given:
            yield "password", self._secrets["password"]
        for offer in encrypted:
            if "publickey" in self._methods and (key := self._decrypted(transport, offer)):
                yield "publickey", key
        asked = "password" not in self._secrets and not self._key and self._methods & PASSWORD_METHODS
        if asked and (password := self._secret("password")):
            yield "password", password

    @property
    def _password_given(self) -> bool:
        """Whether there is a password, and the host accepts one now."""
        return "password" in self._secrets and bool(self._methods & PASSWORD_METHODS)

    def _decrypted(self, transport: Transport, offer: Offer) -> PKey | None:
        """The key of an encrypted file; its passphrase is asked for if the host would accept the key, as ssh does."""
        if "passphrase" not in self._secrets and not self._would_accept(transport, offer.public):
            self._tried += 1
            return None
        passphrase = self._secret("passphrase")
        return self._load(offer, passphrase) if passphrase else None

    def _would_accept(self, transport: Transport, public: bytes | None) -> bool:
        """Whether the host would accept a key, which it can't be asked where the public half is not known."""
        return not public or bool(self._answer(transport, partial(KeyQuery(transport, public).ask, self._config.user)))

    def _secret(self, kind: str) -> str:
        """A secret that was given, or is asked for; empty if nobody can be asked, which the failure tells then."""
        if kind not in self._secrets:
            try:
                self._secrets[kind] = self._ask(kind, self._name)
            except UsageError as error:
                self._unavailable = self._unavailable or error
                return ""
        return self._secrets[kind]

    def _offering(self) -> SshConfig:
        if self._key is None:
            return self._config
        return replace(self._config, identity_files=(self._key,), certificate_files=(), identities_only=True)

    def _load(self, offer: Offer, passphrase: str | None) -> PKey | None:
        """The key to sign with; None if it can't be used. Raises PasswordRequiredException if it is encrypted."""
        key: PKey | None = offer.agent_key
        if key is None and offer.file:
            try:
                key = load_private_key(offer.file, passphrase)
                if not offer.public and not _is_offered(key.asbytes(), self._config):
                    return None
            except UsageError as error:
                if passphrase or self._key:
                    self._unavailable = error
                return None
        if key is None:
            return None
        if offer.certificate:
            key.load_certificate(str(offer.certificate))
        elif key.get_name().endswith("-cert-v01@openssh.com") and offer.public:
            key.public_blob = PublicBlob(key.get_name(), offer.public)  # the agent has the certificate itself
        return key

    def _failure(self, agent: Agent) -> Exception:
        if self._unavailable:
            return self._unavailable
        methods = ", ".join(sorted(self._methods)) or "nothing that ~/.ssh/config allows"
        details = f"the host accepts {methods}" + (f"\n{agent.error}" if agent.error else "")
        return AuthenticationException(details) if self._tried else NothingToOffer(details)
