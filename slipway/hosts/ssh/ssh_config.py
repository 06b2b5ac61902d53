"""What ssh's configuration says about a host: `ssh -G` is asked, so that what `ssh HOST` reaches is reached."""

from __future__ import annotations

import os
import re
import shlex
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from slipway.config.ssh_destination import Destination
from slipway.engine.cancellation import Cancel
from slipway.errors import UsageError
from slipway.hosts.ssh import openssh
from slipway.hosts.this_user import user_name

RSA_BITS = 1024  # fewer are refused (RequiredRSASize in ssh_config(5))
HOST_KEY_ALGORITHMS = (
    "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256"
)
FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}


@dataclass(frozen=True)
class SshConfig:
    """The settings of one destination. Paths are absolute; those of files need not exist."""

    original: str  # the host as it was named
    hostname: str
    user: str
    port: int
    proxy_jump: tuple[str, ...] = ()  # in the order in which they are passed
    proxy_command: str = ""  # with its tokens expanded, for a shell
    host_key_alias: str = ""
    user_known_hosts: tuple[Path, ...] = ()
    global_known_hosts: tuple[Path, ...] = ()
    known_hosts_command: tuple[str, ...] = ()  # its words, with tokens expanded but for those of a host key
    revoked_host_keys: tuple[Path, ...] = ()
    host_key_algorithms: tuple[str, ...] = ()  # the first one first
    ca_signature_algorithms: tuple[str, ...] = ()  # with which an authority may sign a certificate
    required_rsa_size: int = RSA_BITS
    pubkey_algorithms: tuple[str, ...] | None = None  # of this user's keys; None: all
    identity_files: tuple[Path, ...] = ()
    certificate_files: tuple[Path, ...] = ()
    identities_only: bool = False
    identity_agent: str = ""  # its socket; empty if there is none
    pkcs11_provider: str = ""  # a library whose token has keys
    security_key_provider: str = (
        ""  # the library that asks FIDO authenticators, or `internal`; empty: they are not used
    )
    connect_timeout: int | None = None  # seconds
    address_family: int = socket.AF_UNSPEC  # IPv4 and IPv6
    bind_address: str = ""  # of this machine, which the connection comes from
    refused_methods: frozenset[str] = frozenset()  # of authentication

    @property
    def lookup_name(self) -> str:
        """The name under which known_hosts has its key."""
        if self.host_key_alias:
            return self.host_key_alias.lower()
        return self.hostname.lower() if self.port == 22 else f"[{self.hostname.lower()}]:{self.port}"


def read(destination: Destination, cancel: Cancel) -> SshConfig:
    """The settings of a destination, whose user and port win. Raises UsageError with ssh's words if ssh refuses it."""
    asked = _ask_ssh(destination, cancel) if openssh.installed() else _ask_paramiko(destination)
    try:
        return _typed(destination, asked)
    except ValueError as error:
        raise _refused(destination, str(error)) from error


def _ask_ssh(destination: Destination, cancel: Cancel) -> dict[str, list[str]]:
    options = ["-o", "ControlPath=%C"]  # of no use here, so ssh can say by it what that token is
    options += ["-l", destination.user] if destination.user else []
    options += ["-p", str(destination.port)] if destination.port else []
    try:
        answer = openssh.run("ssh", "-G", *options, "--", destination.host, cancel=cancel)
    except TimeoutError as error:
        hint = f"ssh -G {destination.host} shows it: does a `Match exec` of ~/.ssh/config wait for something?"
        raise UsageError(f"{destination.host}: {error}", hint=hint) from None
    if answer.returncode:
        raise _refused(destination, answer.stderr.strip())
    settings: dict[str, list[str]] = {}
    for line in answer.stdout.splitlines():
        key, _, value = line.partition(" ")
        settings.setdefault(key.lower(), []).append(value)
    return settings


def _refused(destination: Destination, details: str) -> UsageError:
    """Ssh's refusal in its words: a line that it can't read, or a jump host that leads to itself."""
    if "jumphost loop" in details:
        hint = f"add `ProxyJump none` to `Host {destination.host}` in ~/.ssh/config"
        return UsageError(f"{destination.host}: its jump hosts form a loop", details=details, hint=hint)
    hint = f"correct it, or make it readable for this user: ssh -G {destination.host} shows the error"
    return UsageError("~/.ssh/config can't be read", details=details, hint=hint)


def _ask_paramiko(destination: Destination) -> dict[str, list[str]]:
    """The same from paramiko's reader of the user's file alone, in the form of `ssh -G`."""
    from paramiko import SSHConfig, SSHException

    file = openssh.home_folder() / ".ssh" / "config"
    settings = {"userknownhostsfile": ["~/.ssh/known_hosts"], "globalknownhostsfile": ["/etc/ssh/ssh_known_hosts"]}
    settings["identityfile"] = [f"~/.ssh/id_{kind}" for kind in ("rsa", "ecdsa", "ed25519")]
    try:
        found = SSHConfig.from_path(str(file)) if file.exists() else SSHConfig()
        for key, value in found.lookup(destination.host).items():
            settings[key] = value if isinstance(value, list) else [str(value)]
    except (OSError, KeyError, SSHException, ValueError) as error:  # KeyError: a user without a name
        raise _refused(destination, str(error)) from error
    for only_ssh_knows in ("controlpath", "pubkeyacceptedalgorithms", "requiredrsasize"):
        settings.pop(only_ssh_knows, None)
    settings["hostkeyalgorithms"] = [HOST_KEY_ALGORITHMS]  # its patterns too
    if destination.user:
        settings["user"] = [destination.user]
    if destination.port:
        settings["port"] = [str(destination.port)]
    return settings


def _typed(destination: Destination, settings: Mapping[str, list[str]]) -> SshConfig:
    """The settings of `ssh -G` as values. It leaves tokens (%h) in some of them, for ssh to expand when it connects."""

    def one(key: str, default: str = "") -> str:
        value = settings.get(key, [default])[0]
        return "" if value.lower() == "none" else value

    hostname, port = one("hostname", destination.host), one("port", "22")
    user = one("user") or user_name()
    tokens = {"%": "%", "h": hostname, "n": destination.host, "p": port, "r": user, "d": str(openssh.home_folder())}
    tokens |= {
        "u": user_name(),
        "i": str(os.getuid()),
        "l": os.uname().nodename,
        "k": one("hostkeyalias", destination.host),
    }
    tokens |= {"L": tokens["l"].partition(".")[0], "j": one("proxyjump"), "C": one("controlpath", "%C")}

    def files(*values: str) -> tuple[Path, ...]:
        return tuple(_path(value, tokens) for value in values if value and value.lower() != "none")

    def names(key: str) -> tuple[str, ...]:
        return tuple(filter(None, one(key).split(",")))

    timeout = one("connecttimeout")
    methods = {
        "publickey": "pubkeyauthentication",
        "password": "passwordauthentication",
        "keyboard-interactive": "kbdinteractiveauthentication",
    }
    return SshConfig(
        original=destination.host,
        hostname=hostname,
        user=user,
        port=int(port),
        proxy_jump=tuple(one("proxyjump").split(",")) if one("proxyjump") else (),
        proxy_command=expand(one("proxycommand"), tokens),
        host_key_alias=settings.get("hostkeyalias", [""])[0],  # `none` is a name like any other
        user_known_hosts=files(*_paths(one("userknownhostsfile"))),
        global_known_hosts=files(*_paths(one("globalknownhostsfile"))),
        known_hosts_command=_words(one("knownhostscommand"), tokens),
        revoked_host_keys=tuple(map(Path, settings.get("revokedhostkeys", ()))),  # has no tokens, nor ~
        host_key_algorithms=names("hostkeyalgorithms"),
        ca_signature_algorithms=names("casignaturealgorithms"),
        required_rsa_size=int(one("requiredrsasize", str(RSA_BITS))),
        pubkey_algorithms=names("pubkeyacceptedalgorithms") if "pubkeyacceptedalgorithms" in settings else None,
        identity_files=files(*settings.get("identityfile", [])),
        certificate_files=files(*settings.get("certificatefile", [])),
        identities_only=one("identitiesonly") == "yes",
        identity_agent=_agent(settings.get("identityagent", ["SSH_AUTH_SOCK"])[0], tokens),
        pkcs11_provider=one("pkcs11provider"),
        security_key_provider=_variable(one("securitykeyprovider")),
        address_family=FAMILIES.get(one("addressfamily"), socket.AF_UNSPEC),
        bind_address=one("bindaddress"),
        connect_timeout=int(timeout) if timeout.isdigit() and int(timeout) else None,
        refused_methods=frozenset(method for method, key in methods.items() if one(key, "yes") in {"no", "false"}),
    )


def _paths(value: str) -> list[str]:
    """The paths in a list of `ssh -G`, which writes those with a space without quotes."""
    return re.split(r" (?=[/~])", value)


def _path(value: str, tokens: Mapping[str, str]) -> Path:
    return openssh.expand_user(_expand_variables(expand(value, tokens)))


def _words(command: str, tokens: Mapping[str, str]) -> tuple[str, ...]:
    """A command that no shell runs: its program, and its arguments with the tokens of a host key left for later."""
    known = {key: value.replace("%", "%%") for key, value in tokens.items() if key != "%"}
    program, *arguments = shlex.split(command) or [""]
    return (program, *(expand(_expand_variables(word), known) for word in arguments)) if program else ()


def expand(value: str, tokens: Mapping[str, str]) -> str:
    """A value with the tokens that are known (TOKENS in ssh_config(5))."""
    return re.sub(r"%(.)", lambda found: tokens.get(found[1], found[0]), value)


def _expand_variables(value: str) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda found: os.environ.get(found[1], ""), value)


def _agent(value: str, tokens: Mapping[str, str]) -> str:
    """The socket that IdentityAgent means: a path, a variable, or none."""
    if value.lower() == "none":
        return ""
    if value == "SSH_AUTH_SOCK":
        return os.environ.get(value, "")
    return _variable(value) if _is_variable(value) else str(_path(value, tokens))


def _variable(value: str) -> str:
    """A value, or that of the variable which it is the name of, as $NAME."""
    return os.environ.get(value[1:], "") if _is_variable(value) else value


def _is_variable(value: str) -> bool:
    return bool(re.fullmatch(r"\$\w+", value))
