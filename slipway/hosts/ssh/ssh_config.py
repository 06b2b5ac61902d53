"""What ssh's configuration says about a host: `ssh -G` is asked, so that what `ssh HOST` reaches is reached."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slipway.config.paths import expand_user
from slipway.config.ssh_destination import Destination
from slipway.errors import UsageError
from slipway.hosts.this_user import user_name

SYSTEM_CONFIG = Path("/etc/ssh/ssh_config")
TIMEOUT = 30  # seconds for `ssh -G`, which runs the commands of `Match exec` and resolves names to canonicalize them
FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
NO_OPENSSH = (
    "ssh and ssh-keygen can't be run (not installed, or this user is not in /etc/passwd): "
    "paramiko reads ~/.ssh/config, and does not know all of its keywords"
)


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
    identity_files: tuple[Path, ...] = ()
    certificate_files: tuple[Path, ...] = ()
    identities_only: bool = False
    identity_agent: str = ""  # its socket; empty if there is none
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


def read(destination: Destination) -> SshConfig:
    """The settings of a destination, whose user and port win. Raises UsageError with ssh's words if ssh refuses it."""
    return _typed(destination, _ask_ssh(destination) if openssh() else _ask_paramiko(destination))


def openssh() -> bool:
    """Whether OpenSSH's programs can be asked. They refuse to run for a user who has no entry in /etc/passwd."""
    return _home_of_user() is not None and shutil.which("ssh") is not None and shutil.which("ssh-keygen") is not None


def _home_of_user() -> Path | None:
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None


def _ask_ssh(destination: Destination) -> dict[str, list[str]]:
    options = ["-G", *(["-l", destination.user] if destination.user else [])]
    options += ["-p", str(destination.port)] if destination.port else []
    with _config_file() as file:
        argv = ["ssh", *(["-F", str(file)] if file else []), *options, "--", destination.host]
        try:
            answer = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=TIMEOUT,
                check=False,
                errors="replace",
                start_new_session=True,  # Ctrl-C is this process's
            )
        except subprocess.TimeoutExpired:
            hint = f"ssh -G {destination.host} shows it: does a `Match exec` of ~/.ssh/config wait for something?"
            raise UsageError(f"{destination.host}: ssh -G produced no answer for {TIMEOUT} s", hint=hint) from None
        if answer.returncode:
            details = answer.stderr.strip()
            raise _refused(destination, details.replace(str(file), str(_user_config())) if file else details)
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


def _user_config() -> Path:
    return Path.home() / ".ssh" / "config"


@contextmanager
def _config_file() -> Iterator[Path | None]:
    """The file to give ssh: none, where it reads the user's itself.

    Ssh takes the home folder from /etc/passwd. Where $HOME is another one, as in a CI job, the files of that one count:
    ssh is given a copy in which ~ is $HOME, followed by the system's file, as ssh would read them.
    """
    home = Path.home()
    if home == _home_of_user():
        yield None
        return
    try:
        text = _user_config().read_text(errors="surrogateescape") if _user_config().exists() else ""
    except OSError as error:
        raise _refused(Destination("localhost"), str(error)) from error
    known = f'UserKnownHostsFile "{home}/.ssh/known_hosts" "{home}/.ssh/known_hosts2"'
    with tempfile.NamedTemporaryFile("w", prefix="slipway-", errors="surrogateescape") as file:
        system = f"Include {SYSTEM_CONFIG}\n" if SYSTEM_CONFIG.exists() else ""
        file.write(f"{_at_home(text, home)}\nMatch all\n{system}Match all\n{known}\n")
        file.flush()
        yield Path(file.name)


def _at_home(text: str, home: Path) -> str:
    """The text of the user's file with ~ as `home`, and what it includes as a path of its .ssh folder."""

    def included(line: re.Match[str]) -> str:
        words = re.sub(r'(^|\s)("?)(?![\s"/~])', rf"\1\2{home}/.ssh/", line[2].strip())
        return line[1] + words

    text = re.sub(r"(?im)^(\s*include(?:\s*=\s*|\s+))(.*)$", included, text)
    return re.sub(r'(?m)([\s="])~(?=/)', rf"\g<1>{home}", text)


def _ask_paramiko(destination: Destination) -> dict[str, list[str]]:
    """The same from paramiko's reader of the user's file alone, in the form of `ssh -G`."""
    from paramiko import SSHConfig, SSHException

    settings = {"userknownhostsfile": ["~/.ssh/known_hosts"], "globalknownhostsfile": ["/etc/ssh/ssh_known_hosts"]}
    settings["identityfile"] = [f"~/.ssh/id_{kind}" for kind in ("rsa", "ecdsa", "ed25519")]
    try:
        found = SSHConfig.from_path(str(_user_config())) if _user_config().exists() else SSHConfig()
        for key, value in found.lookup(destination.host).items():
            settings[key] = value if isinstance(value, list) else [str(value)]
    except (OSError, KeyError, SSHException, ValueError) as error:  # KeyError: a user without a name
        raise _refused(destination, str(error)) from error
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
    tokens = {"%": "%", "h": hostname, "n": destination.host, "p": port, "r": user, "d": str(Path.home())}
    tokens |= {"u": user_name(), "i": str(os.getuid()), "l": os.uname().nodename, "k": one("hostkeyalias", hostname)}
    tokens |= {"L": tokens["l"].partition(".")[0], "j": one("proxyjump")}

    def files(*values: str) -> tuple[Path, ...]:
        return tuple(_path(value, tokens) for value in values if value and value.lower() != "none")

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
        proxy_command=_expand(one("proxycommand"), tokens),
        host_key_alias=one("hostkeyalias"),
        user_known_hosts=files(*_paths(one("userknownhostsfile"))),
        global_known_hosts=files(*_paths(one("globalknownhostsfile"))),
        identity_files=files(*settings.get("identityfile", [])),
        certificate_files=files(*settings.get("certificatefile", [])),
        identities_only=one("identitiesonly") == "yes",
        identity_agent=_agent(settings.get("identityagent", ["SSH_AUTH_SOCK"])[0], tokens),
        address_family=FAMILIES.get(one("addressfamily"), socket.AF_UNSPEC),
        bind_address=one("bindaddress"),
        connect_timeout=int(timeout) if timeout.isdigit() and int(timeout) else None,
        refused_methods=frozenset(method for method, key in methods.items() if one(key, "yes") in {"no", "false"}),
    )


def _paths(value: str) -> list[str]:
    """The paths in a list of `ssh -G`, which writes those with a space without quotes."""
    return re.split(r" (?=[/~])", value)


def _path(value: str, tokens: Mapping[str, str]) -> Path:
    return expand_user(_expand_variables(_expand(value, tokens)))


def _expand(value: str, tokens: Mapping[str, str]) -> str:
    return re.sub(r"%(.)", lambda found: tokens.get(found[1], found[0]), value)


def _expand_variables(value: str) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda found: os.environ.get(found[1], ""), value)


def _agent(value: str, tokens: Mapping[str, str]) -> str:
    """The socket that IdentityAgent means: a path, a variable, or none."""
    if value.lower() == "none":
        return ""
    if value == "SSH_AUTH_SOCK" or re.fullmatch(r"\$\w+", value):
        return os.environ.get(value.removeprefix("$"), "")
    return str(_path(value, tokens))
