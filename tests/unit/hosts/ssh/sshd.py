"""An sshd of this process on loopback, for tests: it runs commands here, and forwards the connections of jumps."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from fabric import Connection
from paramiko import Channel, Ed25519Key, Message, PKey, RSAKey, ServerInterface, Transport
from paramiko.common import (
    AUTH_FAILED,
    AUTH_PARTIALLY_SUCCESSFUL,
    AUTH_SUCCESSFUL,
    MSG_DISCONNECT,
    MSG_SERVICE_ACCEPT,
    OPEN_FAILED_CONNECT_FAILED,
    OPEN_SUCCEEDED,
)
from paramiko.pkey import PublicBlob
from paramiko.ssh_exception import SSHException

from slipway.config.models import HostEntry, Hosts
from slipway.engine.cancellation import Cancel
from slipway.engine.events import Output
from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import ConnectionLost, UsageError
from slipway.hosts.host import Command
from slipway.hosts.ssh import connection, known_hosts_file, openssh
from slipway.hosts.ssh.authentication import AskSecret
from slipway.hosts.ssh.host import SshHost
from slipway.hosts.ssh.host_certificate import certified_key
from slipway.hosts.ssh.host_key import CERTIFIED
from slipway.hosts.ssh.route import route

NO_AGENT = 2  # the exit code of ssh-add
KEY = RSAKey.generate(1024)  # of every server that is given no other


@dataclass
class Sshd:
    """A server and what it saw. `passwords` and `keys` let users in; `before` is what a login shell says first."""

    key: PKey = KEY
    more_keys: tuple[PKey, ...] = ()  # host keys of other types, or the same with a certificate: see `CertifiedKey`
    passwords: dict[str, str] = field(default_factory=dict)
    keys: tuple[PKey, ...] = ()
    before: bytes = b""
    home: Path = Path("/")
    login_shell: tuple[str, ...] = ("sh", "-c")
    max_sessions: int = 100
    rewrite: tuple[str, str] = ("", "")  # what is put in place of what in a command's line
    tried: list[str] = field(default_factory=list)  # passwords that were sent
    offered: list[PKey] = field(default_factory=list)  # keys, also those that were only asked about
    users: list[str] = field(default_factory=list)  # who logged in
    dialled: list[int] = field(default_factory=list)  # ports that were connected to through it
    max_auth_tries: int = 100
    farewell: str | bytes = "Too many authentication failures"  # what it says behind the last of them
    unknown: tuple[str, ...] = ()  # algorithms that it takes no signature of
    methods: str = ""  # of authentication; else publickey, and password where there is one
    second_factor: bool = False  # whether it wants a password after a key
    port: int = 0
    links: list[Transport] = field(default_factory=list)

    def known(self, key: PKey | None = None) -> str:
        """Its line of a known_hosts file."""
        key = key or self.key
        return f"[127.0.0.1]:{self.port} {key.get_name()} {key.get_base64()}\n"

    def drop(self) -> None:
        """End every connection; what runs sees its input end."""
        ended, self.links = self.links, []
        for one in ended:
            one.close()


@contextmanager
def serving(*servers: Sshd) -> Iterator[None]:
    """Have servers listen on free ports of loopback."""
    listeners = []
    try:
        for server in servers:
            listener = socket.create_server(("127.0.0.1", server.port))
            listeners.append(listener)
            server.port = listener.getsockname()[1]
            threading.Thread(target=_accept, args=(listener, server), daemon=True).start()
        yield
    finally:
        for listener in listeners:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for server in servers:
            server.drop()


def _accept(listener: socket.socket, server: Sshd) -> None:
    with suppress(OSError):
        while True:
            link = _Link(listener.accept()[0], disabled_algorithms={"pubkeys": server.unknown})
            for key in (server.key, *server.more_keys):
                link.add_server_key(key)
            server.links.append(link)
            threading.Thread(target=_serve, args=(link, server), daemon=True).start()


class CertifiedKey(Ed25519Key):
    """A host key that is presented with its certificate, from FILE and FILE-cert.pub."""

    def __init__(self, file: Path) -> None:
        super().__init__(filename=str(file))
        self.kind, text = (file.parent / f"{file.name}-cert.pub").read_text().split()[:2]
        self.certificate = base64.b64decode(text)

    def get_name(self) -> str:
        return self.kind

    def asbytes(self) -> bytes:
        return self.certificate


class SecurityKey(PKey):
    """The public key of a FIDO authenticator, whose signatures are as PROTOCOL.u2f of OpenSSH has them."""

    KINDS = ("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com")
    NAMES = (*KINDS, *(name for kind in KINDS for name in (kind.split("@")[0], kind.replace("@", "-cert-v01@"))))

    def __init__(self, msg: Message) -> None:
        self._blob, self.public_blob = msg.asbytes(), None
        if (kind := msg.get_text()).endswith(CERTIFIED):
            self.public_blob = PublicBlob(kind, self._blob)
            self._blob = certified_key(self._blob)
        msg = Message(self._blob)
        self._kind, first = msg.get_text(), msg.get_binary()
        self._point = first if self._kind == self.KINDS[0] else msg.get_binary()
        self._application = msg.get_binary()

    @property
    def _fields(self) -> tuple[bytes]:
        return (self._blob,)

    def get_name(self) -> str:
        return self._kind

    def asbytes(self) -> bytes:
        return self._blob

    def verify_ssh_sig(self, data: bytes, msg: Message) -> bool:
        kind, signature, rest = msg.get_text(), msg.get_binary(), msg.get_remainder()
        signed = sha256(self._application).digest() + rest + sha256(data).digest()
        try:
            if kind == self.KINDS[0]:
                Ed25519PublicKey.from_public_bytes(self._point).verify(signature, signed)
            else:
                numbers = Message(signature)
                der = encode_dss_signature(numbers.get_mpint(), numbers.get_mpint())
                point = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), self._point)
                point.verify(der, signed, ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return kind == self._kind and len(rest) == 5  # flags and counter


class _Link(Transport):
    """A connection that ends where a client asks for the login twice, as at AsyncSSH's server and at Cisco's."""

    _preferred_pubkeys = (*Transport._preferred_pubkeys, *SecurityKey.NAMES)  # type: ignore[attr-defined]
    _key_info: ClassVar = {**Transport._key_info, **dict.fromkeys(SecurityKey.NAMES, SecurityKey)}  # type: ignore[attr-defined]
    asked = 0

    def _send_message(self, data: Message) -> None:
        self.asked += data.asbytes()[0] == MSG_SERVICE_ACCEPT
        if self.asked > 1:
            self.close()
            return
        super()._send_message(data)  # type: ignore[misc]


def _serve(link: Transport, server: Sshd) -> None:
    with suppress(SSHException, EOFError, OSError):
        link.start_server(server=_Session(link, server))


class _Session(ServerInterface):
    def __init__(self, link: Transport, server: Sshd) -> None:
        self._link, self._server, self._failures = link, server, 0

    def get_allowed_auths(self, username: str) -> str:  # noqa: ARG002  a fixed signature
        if self._server.second_factor and self._server.users:
            return "password"
        return self._server.methods or ("publickey,password" if self._server.passwords else "publickey")

    def check_auth_password(self, username: str, password: str) -> int:
        self._server.tried.append(password)
        right = self._server.passwords.get(username) == password
        return AUTH_SUCCESSFUL if right else AUTH_FAILED

    def check_auth_publickey(self, username: str, key: PKey) -> int:
        self._server.offered.append(key)
        if key in self._server.keys:
            self._server.users.append(username)
            return AUTH_PARTIALLY_SUCCESSFUL if self._server.second_factor else AUTH_SUCCESSFUL
        self._failures += 1
        if self._failures >= self._server.max_auth_tries:
            self._hang_up(self._server.farewell)
        return AUTH_FAILED

    def _hang_up(self, text: str | bytes) -> None:
        """As sshd does it: with SSH_MSG_DISCONNECT."""
        message = Message()
        message.add_byte(bytes([MSG_DISCONNECT]))
        message.add_int(2)
        message.add_string(text)
        message.add_string("")
        self._link._send_message(message)  # type: ignore[attr-defined]
        self._link.close()

    def check_channel_request(self, kind: str, chanid: int) -> int:  # noqa: ARG002  a fixed signature
        open_ones = len(self._link._channels.values())  # type: ignore[attr-defined]
        return OPEN_SUCCEEDED if open_ones < self._server.max_sessions else OPEN_FAILED_CONNECT_FAILED

    def check_channel_direct_tcpip_request(
        self,
        chanid: int,
        origin: tuple[str, int],  # noqa: ARG002  a fixed signature
        destination: tuple[str, int],
    ) -> int:
        self._server.dialled.append(destination[1])
        try:
            far = socket.create_connection(destination, timeout=5)
        except OSError:
            return OPEN_FAILED_CONNECT_FAILED
        threading.Thread(target=self._jump, args=(chanid, far), daemon=True).start()
        return OPEN_SUCCEEDED

    def _jump(self, chanid: int, far: socket.socket) -> None:
        channel = self._link.accept(5)
        while channel is not None and channel.get_id() != chanid:
            channel = self._link.accept(5)
        if channel is None:
            return
        far.settimeout(None)
        threading.Thread(target=_pump, args=(far, channel), daemon=True).start()
        _pump(channel, far)

    def check_channel_exec_request(self, channel: Channel, command: bytes) -> bool:
        line = command.decode()
        if self._server.rewrite[0]:
            line = line.replace(*self._server.rewrite)
        threading.Thread(target=_run, args=(channel, line, self._server), daemon=True).start()
        return True


def _pump(source: socket.socket | Channel, sink: socket.socket | Channel) -> None:
    with suppress(OSError, EOFError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError, EOFError):
        sink.close()


def _run(channel: Channel, line: str, server: Sshd) -> None:
    if server.before:
        channel.sendall(server.before)
    process = subprocess.Popen(
        [*server.login_shell, line],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=server.home,
        env={**os.environ, "HOME": str(server.home)},
        start_new_session=True,
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    threading.Thread(target=_feed, args=(channel, process), daemon=True).start()
    readers = [
        threading.Thread(target=_answer, args=(process.stdout.fileno(), channel.sendall), daemon=True),
        threading.Thread(target=_answer, args=(process.stderr.fileno(), channel.sendall_stderr), daemon=True),
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    code = process.wait()
    with suppress(OSError, EOFError):
        if code >= 0:
            channel.send_exit_status(code)
        channel.close()


def _feed(channel: Channel, process: subprocess.Popen[bytes]) -> None:
    assert process.stdin
    with suppress(OSError, EOFError):
        while data := channel.recv(65536):
            process.stdin.write(data)
            process.stdin.flush()
    with suppress(OSError):
        process.stdin.close()


def _answer(source: int, send: object) -> None:
    with suppress(OSError, EOFError):
        while data := os.read(source, 65536):
            send(data)  # type: ignore[operator]


TIGHT = 25.0  # seconds: less than any of the real waits


def connect(named: Hosts, ask: AskSecret, report: Reporter | None = None) -> Connection:
    """A connection to the host that is called box."""
    report = report or null_reporter()
    return connection.connect(route("box", named, report), ask, report)


def noting(notes: list[str]) -> Reporter:
    """A reporter that keeps what Slipway says."""
    return Reporter("box", lambda event: notes.append(event.text) if isinstance(event, Output) else None, Cancel())


def nobody(kind: str, host: str) -> str:
    raise UsageError(f"{kind} of {host} is wanted, and there is nobody to ask")


def answers(**said: str) -> tuple[AskSecret, list[tuple[str, str]]]:
    """Somebody who knows secrets by host, and what was asked."""
    asked: list[tuple[str, str]] = []

    def ask(kind: str, host: str) -> str:
        asked.append((kind, host))
        return said[host]

    return ask, asked


def home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without keys, agent and configuration but the test's own, for Slipway and for ssh.

    Ssh looks up its user's home in /etc/passwd: one that comes first on PATH is told the files.
    """
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setattr(openssh, "home_folder", lambda: folder)
    config, known = folder / ".ssh" / "config", folder / ".ssh" / "known_hosts"
    ssh, program = shutil.which("ssh"), folder / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *-F*) exec {ssh} "$@";; esac\n'
        f"config='{config}'; [ -e \"$config\" ] || config=none\n"
        f'grep -qis UserKnownHostsFile "$config" || set -- -o \'UserKnownHostsFile="{known}"\' "$@"\n'
        f'exec {ssh} -F "$config" "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    for name in ("SSH_AUTH_SOCK", "SLIPWAY_SSH_PASSWORD", "SLIPWAY_SSH_PASSPHRASE", "SLIPWAY_SSH_PIN"):
        monkeypatch.delenv(name, raising=False)
    (folder / ".ssh").mkdir()
    known_hosts_file._noted.clear()
    return folder


def sealed(place: Path, passphrase: str = "") -> PKey:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", str(place)], check=True)
    return Ed25519Key.from_private_key_file(str(place), passphrase or None)


def ssh(server: Sshd, key: Path, config: Path | str = "none", **options: object) -> subprocess.CompletedProcess[str]:
    """The real client, with no files but those named: what it does is what Slipway should do."""
    settings = {"BatchMode": "yes", "IdentitiesOnly": "yes", "GlobalKnownHostsFile": "/dev/null", **options}
    words = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    argv = ["ssh", "-F", str(config), *words, "-i", str(key), "-p", str(server.port), "deploy@127.0.0.1", "true"]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=30)


@contextmanager
def agent(home: Path, monkeypatch: pytest.MonkeyPatch, *keys: Path, providers: str = "/usr/lib*/*") -> Iterator[Path]:
    """An ssh-agent with these keys, which are not encrypted, in this order; yields its socket."""
    path = home / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-P", providers, "-a", str(path)], stdout=subprocess.DEVNULL)
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        until(lambda: subprocess.run(["ssh-add", "-l"], capture_output=True, check=False).returncode != NO_AGENT)
        for key in keys:
            subprocess.run(["ssh-add", "-q", str(key)], check=True)
        yield path
    finally:
        process.kill()
        process.wait()


def hosts(home: Path, *servers: Sshd, **entries: HostEntry) -> Hosts:
    known = home / "known_hosts"
    known.write_text("".join(server.known() for server in servers))
    return Hosts(known_hosts=str(known), hosts=entries)


def configure(home: Path, server: Sshd, *lines: str) -> None:
    """Make a server the host `box` of ~/.ssh/config."""
    (home / "known_hosts").write_text(server.known())
    known = f"UserKnownHostsFile {home}/known_hosts"
    text = "\n".join(["Host box", "HostName 127.0.0.1", f"Port {server.port}", "User deploy", known, *lines])
    (home / ".ssh" / "config").write_text(f"{text}\n")


def at(server: Sshd, **more: object) -> HostEntry:
    return HostEntry(address="127.0.0.1", port=server.port, user="deploy", **more)  # type: ignore[arg-type]


@contextmanager
def reached(
    home: Path, server: Sshd, cancel: Cancel | None = None, report: Reporter | None = None
) -> Iterator[SshHost]:
    """A host behind a server that takes a key."""
    key = sealed(home / "key")
    server.keys, server.home = (key,), home
    with serving(server):
        known = hosts(home, server, box=at(server, key=str(home / "key")))
        found = SshHost("box", known, nobody, report or null_reporter(cancel))
        yield found
        found.close()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIGHT
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def lost(box: SshHost, command: Command = Command(("true",))) -> None:  # noqa: B008  frozen
    with pytest.raises(ConnectionLost):
        box.run(command, null_reporter())
