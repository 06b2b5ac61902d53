"""Logging in: the keys that ssh would offer, in its order, then passwords."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from paramiko import AgentKey, Message, PKey, Transport
from paramiko.pkey import PublicBlob
from paramiko.ssh_exception import (
    AuthenticationException,
    BadAuthenticationType,
    PasswordRequiredException,
    SSHException,
)

from slipway.config.paths import is_file
from slipway.engine.reporter import Reporter
from slipway.errors import UsageError
from slipway.hosts.ssh.agent import Agent, SigningKey
from slipway.hosts.ssh.host_certificate import certified_key
from slipway.hosts.ssh.host_key import CERTIFIED, is_security_key, key_type
from slipway.hosts.ssh.key_query import KeyQuery
from slipway.hosts.ssh.private_agent import PrivateAgent
from slipway.hosts.ssh.private_keys import load_private_key, public_key
from slipway.hosts.ssh.ssh_config import SshConfig

R = TypeVar("R")
PASSWORD_METHODS = {"password", "keyboard-interactive"}


class AskSecret(Protocol):
    """Asks for a host's `sudo`, `password`, `passphrase` or `pin`. Raises UsageError if nobody can be asked."""

    def __call__(self, kind: str, host: str) -> str: ...


class NothingToOffer(AuthenticationException):
    """There is no key, agent or password that the host could accept."""


class TooManyFailures(AuthenticationException):
    """The host hung up before everything was offered (MaxAuthTries in sshd_config(5))."""


@dataclass(frozen=True)
class Offer:
    """A key to offer: `public` as it is sent over the wire, signed for by the agent, a token or a private key file."""

    public: bytes | None
    file: Path | None = None
    agent_key: AgentKey | None = None
    certificate: Path | None = None
    token_key: bytes | None = None  # the public key of which a PKCS#11 module has the private one

    @property
    def is_security_key(self) -> bool:
        """Whether a FIDO authenticator signs with the key in the file."""
        return bool(self.file and self.public and is_security_key(self.public))


def offers(config: SshConfig, agent_keys: Sequence[AgentKey], token_keys: Sequence[bytes] = ()) -> list[Offer]:
    """The keys that ssh would offer, in its order (pubkey_prepare in sshconnect2.c).

    Certificates that the configuration names; the agent's keys that it names, the agent's others; the keys of a PKCS#11
    module that it names as files too, the module's others; then key files. Those that PubkeyAcceptedAlgorithms or
    RequiredRSASize leave out are not offered.
    """
    files = [*(Offer(key, token_key=key) for key in token_keys), *_file_offers(config)]
    certificates = [found for file in config.certificate_files if (found := _certificate(file))]
    named = [_with_private_key(*one, files, agent_keys) for one in certificates]
    preferred: list[Offer] = []
    others: list[Offer] = []
    for key in agent_keys:
        match = next((offer for offer in files if offer.public == key.blob), None)
        if match:
            files.remove(match)
            preferred.append(replace(match, agent_key=key))
        elif not config.identities_only:
            others.append(Offer(key.blob, agent_key=key))
    completed = [_with_agent(offer, agent_keys) for offer in _tokens_first(files, config)]
    made = (*named, *preferred, *others, *completed)
    return [offer for offer in made if not offer.public or _is_offered(offer.public, config)]


def _tokens_first(files: Sequence[Offer], config: SshConfig) -> Iterator[Offer]:
    """The keys of a PKCS#11 module before those of files. Each once, also where a file has its public half."""
    tokens = [offer for offer in files if offer.token_key]
    public = {offer.public for offer in tokens}
    named = {offer.public for offer in files if not offer.token_key}
    yield from (offer for offer in tokens if offer.public in named)
    if not config.identities_only:
        yield from (offer for offer in tokens if offer.public not in named)
    yield from (offer for offer in files if not offer.token_key and offer.public not in public)


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
        if _lacks_provider(public, config):
            continue
        if public or is_file(file):
            yield Offer(public, file)
        if not config.certificate_files and (found := _certificate(beside)):
            yield Offer(found[0], file, certificate=beside)


def _lacks_provider(public: bytes | None, config: SshConfig) -> bool:
    """Whether it is the key of a FIDO authenticator, of which none may be asked."""
    return bool(public and is_security_key(public) and not config.security_key_provider)


def _certificate(file: Path) -> tuple[bytes, bytes, Path] | None:
    """A certificate as it is sent over the wire, the public key that it certifies, and its file."""
    try:
        data = file.read_bytes()
        blob = PublicBlob.from_string(data.decode())
        if not blob.key_type.endswith(CERTIFIED):
            return None
        if not is_security_key(blob.key_blob):  # of which the library reads no certificate
            serialization.load_ssh_public_identity(data)
        return blob.key_blob, certified_key(blob.key_blob), file
    except (OSError, ValueError, UnsupportedAlgorithm):
        return None


def _with_private_key(
    blob: bytes, public: bytes, certificate: Path, files: Sequence[Offer], agent_keys: Sequence[AgentKey]
) -> Offer:
    """A certificate with the private key that it belongs to, wherever that is."""
    agent_key = next((key for key in agent_keys if key.blob == public), None)
    signer = next((offer for offer in files if offer.public == public), Offer(public))
    return replace(signer, public=blob, agent_key=agent_key, certificate=certificate)


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
        self, name: str, config: SshConfig, key: Path | None, secrets: dict[str, str], ask: AskSecret, report: Reporter
    ) -> None:
        self._name, self._config, self._key, self._ask, self._cancel = name, config, key, ask, report.cancel
        self._secrets = secrets
        self._private_agent = PrivateAgent(name, config, self._secret, report)
        self._methods: set[str] = set()
        self._unavailable: UsageError | None = None  # a key or a secret
        self._tried = 0

    def authenticate(self, transport: Transport) -> None:
        """Try what the host accepts until it is content.

        Raises AuthenticationException, or UsageError for a key that can't be read.
        """
        agent = Agent(self._config.identity_agent, self._cancel)
        with contextlib.closing(agent), contextlib.closing(self._private_agent):
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
        offered: list[Offer] = []
        if "publickey" in self._methods:
            offered = offers(self._offering(), keys, self._token_keys())
        if self._key and "publickey" in self._methods and not offered:
            load_private_key(self._key, None)  # raises: it is not there
        sealed: list[Offer] = []
        for offer in offered:
            if "publickey" not in self._methods:
                break
            try:
                key = self._load(offer, None)
            except PasswordRequiredException:
                if self._password_given and _secret_of(offer) not in self._secrets:  # it may do, without a question
                    sealed.append(offer)
                    continue
                key = self._unsealed(transport, offer)
            if key:
                yield "publickey", key
        if self._password_given:
            yield "password", self._secrets["password"]
        for offer in sealed:
            if "publickey" in self._methods and (key := self._unsealed(transport, offer)):
                yield "publickey", key
        asked = "password" not in self._secrets and not self._key and self._methods & PASSWORD_METHODS
        if asked and (password := self._secret("password")):
            yield "password", password

    def _token_keys(self) -> list[bytes]:
        """The keys of the PKCS#11 module, unless the only key to offer is known to be a private key file's."""
        with contextlib.suppress(OSError, ValueError):
            if self._key and b"PRIVATE KEY-----" in self._key.read_bytes():
                return []
        return self._private_agent.token_keys()

    @property
    def _password_given(self) -> bool:
        """Whether there is a password, and the host accepts one now."""
        return "password" in self._secrets and bool(self._methods & PASSWORD_METHODS)

    def _unsealed(self, transport: Transport, offer: Offer) -> PKey | None:
        """The key of an encrypted file or a token; its secret is asked for if the host would accept it, as by ssh."""
        hardware = offer.token_key or offer.is_security_key
        if (hardware or "passphrase" not in self._secrets) and not self._would_accept(transport, offer.public):
            self._tried += 1
            return None
        if hardware:
            key = self._hardware_key(offer)
            self._tried += key is None
            return _certified(key, offer) if key else None
        passphrase = self._secret("passphrase")
        return self._load(offer, passphrase) if passphrase else None

    def _hardware_key(self, offer: Offer) -> AgentKey | None:
        """A key that only an agent can sign with, of which the user's has none."""
        if offer.token_key:
            return self._private_agent.token_key(offer.token_key)
        if not (offer.file and offer.public):
            return None
        plain = certified_key(offer.public) if offer.certificate else offer.public
        return self._private_agent.security_key(offer.file, plain)

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
        """The key to sign with; None if it can't be used. Raises PasswordRequiredException if it may need a secret."""
        key: PKey | None = offer.agent_key
        if key is None and (offer.token_key or offer.is_security_key):
            raise PasswordRequiredException("an agent has to sign with it")
        if key is None and offer.file:
            try:
                key = load_private_key(offer.file, passphrase)
                if not offer.public and not _is_offered(key.asbytes(), self._config):
                    return None
            except UsageError as error:
                if passphrase or self._key:
                    self._unavailable = error
                return None
        return _certified(key, offer) if key else None

    def _failure(self, agent: Agent) -> Exception:
        if problem := self._unavailable or self._private_agent.refused:
            return problem
        methods = ", ".join(sorted(self._methods)) or "nothing that ~/.ssh/config allows"
        left_out = (
            f"{file} is not used: there is no SecurityKeyProvider"
            for file in self._offering().identity_files
            if _lacks_provider(public_key(file), self._config)
        )
        errors = filter(None, (agent.error, *self._private_agent.errors, *left_out))
        details = "\n".join((f"the host accepts {methods}", *errors))
        return AuthenticationException(details) if self._tried else NothingToOffer(details)


def _secret_of(offer: Offer) -> str:
    """The secret that a key may need."""
    return "pin" if offer.token_key else "passphrase"


def _certified(key: PKey, offer: Offer) -> PKey:
    """A key that is presented with the certificate of its offer, where that has one."""
    if offer.public and (kind := Message(offer.public).get_text()).endswith(CERTIFIED):
        key.public_blob = PublicBlob(kind, offer.public)
    return key
