"""Keys that only OpenSSH's own programs can sign with: an ssh-agent of a login's own loads and uses them."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from paramiko import AgentKey
from paramiko.ssh_exception import AuthenticationException

from slipway.config.host_secrets import VARIABLES, host_variable, without_host_secrets
from slipway.engine.reporter import Reporter
from slipway.errors import Cancelled, UsageError
from slipway.hosts.ssh import openssh
from slipway.hosts.ssh.agent import Agent, SigningKey
from slipway.hosts.ssh.private_keys import public_line
from slipway.hosts.ssh.ssh_config import SshConfig
from slipway.hosts.tunnels import serving

ASKPASS = Path(__file__).with_name("askpass.py")
NAMES = {"pin": "PIN", "passphrase": "passphrase"}
START_TIMEOUT = 5.0  # seconds for the agent to listen
LIFETIME = 300  # seconds that it keeps a key, should nobody end it
# Runs "$@". Once this process is gone, however it ended, standard input ends: so do the program and folder $0.
WATCHED = 'exec 3<&0 </dev/null; (cat <&3 >/dev/null; kill $$; rm -rf "$0") & exec "$@" 3<&-'
WRONG_PIN = "incorrect passphrase"  # SSH_ERR_KEY_WRONG_PASSPHRASE (ssherr.c), which an authenticator's PIN has too

# The answer to a program's question; the context ends when it is sent.
Reply = Callable[[], AbstractContextManager[str]]

_refused_pins: set[tuple[str, str]] = set()  # with what they were given to: a token locks itself after a few
_pin_lock = threading.Lock()


class PrivateAgent:
    """An ssh-agent that starts when the first key is loaded. `close` ends it and removes its socket.

    `name` is the host's; `secret` gives its `pin` or `passphrase`, "" if nobody knows it.
    """

    def __init__(self, name: str, config: SshConfig, secret: Callable[[str], str], report: Reporter) -> None:
        self._name, self._config, self._secret, self._report = name, config, secret, report
        self._errors: list[str] = []
        self._agents: list[Agent] = []
        self._closing = contextlib.ExitStack()
        self._questions = 0  # that a program has asked
        self._reply: Reply = _unknown
        self.refused: UsageError | None = None  # what a secret that was given did not unlock

    @property
    def errors(self) -> list[str]:
        """What could not be used, and why."""
        return [*self._errors, *(agent.error for agent in self._agents if agent.error)]

    def close(self) -> None:
        """End the agent and remove its socket."""
        self._closing.close()

    def token_keys(self) -> list[bytes]:
        """The public keys of the PKCS#11 module that the configuration names, in its order. They need no agent."""
        provider = self._config.pkcs11_provider
        listed = self._ask("pin", "ssh-keygen", "-D", provider) if provider else ""
        return [key for line in listed.splitlines() if (key := public_line(line.encode()))]

    def token_key(self, public: bytes) -> AgentKey | None:
        """A key of that module; None if it can't be used."""
        return self._key(public) if self._token_loaded else None

    def security_key(self, file: Path, public: bytes) -> AgentKey | None:
        """The key of a FIDO authenticator that a file describes; None if it can't be used."""
        return self._key(public) if self._add("passphrase", str(file)) else None

    @cached_property
    def _token_loaded(self) -> bool:
        return self._add("pin", "-s", self._config.pkcs11_provider)

    def _add(self, kind: str, *words: str) -> bool:
        """Whether ssh-add loads keys, which may ask for a secret."""
        errors = len(self._errors)
        if self._started:
            self._ask(kind, "ssh-add", *words)
        return errors == len(self._errors)

    def _key(self, public: bytes) -> AgentKey | None:
        """A key that was loaded."""
        agent = Agent(self._environment["SSH_AUTH_SOCK"], self._report.cancel)
        self._agents.append(agent)
        self._closing.callback(agent.close)
        keys = (key for key in agent.get_keys() if key.blob == public)
        return next((_LoadedKey(agent, key.blob, key.comment, self._signing) for key in keys), None)

    # Signing

    @contextmanager
    def _signing(self, agent: Agent) -> Iterator[None]:
        """While a key signs. A PIN that the agent calls wrong is remembered."""
        signature = _Signature(agent)
        said = len(self._said)
        self._reply = partial(self._give_pin, signature)
        try:
            yield
        except AuthenticationException:
            why = self._said[said:].strip()
            agent.error = "\n".join(filter(None, (agent.error, why)))
            if signature.pin and WRONG_PIN in why:
                _refused_pins.add((self._config.security_key_provider, signature.pin))
                self.refused = self._wrong("pin", "FIDO authenticator", why)
            raise
        finally:
            signature.answered.set()

    @contextmanager
    def _give_pin(self, signature: _Signature) -> Iterator[str]:
        """The PIN of an authenticator, which no other login gives to one until it has answered."""
        with signature.agent.paused():
            pin = self._secret("pin")
            _pin_lock.acquire()
        try:
            if (self._config.security_key_provider, pin) in _refused_pins:
                self.refused = self._wrong("pin", "FIDO authenticator", "it was refused before")
                yield ""
                return
            if signature.answered.is_set():  # the agent did not wait
                yield ""
                return
            signature.pin = pin
            yield pin
            signature.answered.wait()
        finally:
            _pin_lock.release()

    @property
    def _said(self) -> str:
        """What the agent has logged."""
        return self._log.read_text(errors="replace")

    @property
    def _log(self) -> Path:
        return Path(self._environment["SSH_AUTH_SOCK"]).with_name("log")

    # OpenSSH's programs

    def _ask(self, kind: str, *argv: str) -> str:
        """What a program prints. It is run again with a secret if it fails and has asked for one."""
        with self._noted():
            answer, secret = self._run("", argv), ""
            if answer.returncode and self._questions and (secret := self._secret(kind)):
                answer = self._run_with_pin(secret, argv) if kind == "pin" else self._run(secret, argv)
            if not answer.returncode:
                return answer.stdout
            error = answer.stderr.strip()
            if secret:
                wrong = kind == "passphrase" and self._questions > 1  # it was given, and is asked for again
                self.refused = self._wrong(kind, argv[-1], error) if wrong else self._locked(kind, argv[-1], error)
            raise OSError(f"{argv[-1]}: {error}")
        return ""

    def _wrong(self, kind: str, what: str, error: str) -> UsageError:
        return UsageError(f"{what}: wrong {NAMES[kind]}", details=error, hint=self._hint(kind))

    def _locked(self, kind: str, what: str, error: str) -> UsageError:
        return UsageError(f"{what} could not be unlocked", details=error, hint=self._hint(kind))

    def _hint(self, kind: str) -> str:
        own = host_variable(kind, self._name)
        return f"check the {NAMES[kind]} that was typed, or {VARIABLES[kind]}, or {own} for this host alone"

    def _run(self, secret: str, argv: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        self._reply, self._questions = partial(self._give_once, secret), 0
        return openssh.run(*argv, cancel=self._report.cancel, env=self._environment)

    @contextmanager
    def _give_once(self, secret: str) -> Iterator[str]:
        """A secret to a program that loads keys, which would ask for ever."""
        self._reply = _unknown
        yield secret

    def _run_with_pin(self, pin: str, argv: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        """The same, but a PIN that was refused is not tried again, whatever host it is for."""
        with _pin_lock:
            if (argv[-1], pin) in _refused_pins:
                return subprocess.CompletedProcess(argv, 1, "", "it was refused before")
            answer = self._run(pin, argv)
            if answer.returncode:
                _refused_pins.add((argv[-1], pin))
            return answer

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """A program that is missing, fails or does not answer is noted; ssh goes on with other keys then, too."""
        try:
            yield
        except OSError as error:
            self._errors.append(str(error))

    @cached_property
    def _environment(self) -> dict[str, str]:
        """The variables of those programs: they ask here, through a socket that only this user can reach."""
        folder = self._closing.enter_context(tempfile.TemporaryDirectory(prefix="slipway-"))  # made with mode 0700
        asked_at = f"{folder}/askpass"
        self._closing.enter_context(serving(_Askpass(asked_at, self._answer)))
        variables = {"SSH_ASKPASS": str(ASKPASS), "SSH_ASKPASS_REQUIRE": "force", "SLIPWAY_ASKPASS": asked_at}
        variables["SSH_SK_PROVIDER"] = self._config.security_key_provider
        path = f"{os.environ.get('PATH', os.defpath)}:{Path(sys.executable).parent}"
        return {**without_host_secrets(os.environ), **variables, "SSH_AUTH_SOCK": f"{folder}/agent", "PATH": path}

    def _answer(self, question: str) -> AbstractContextManager[str]:
        """The answer to a program's question; a notice, such as that the authenticator waits for a touch, has none."""
        kind, _, text = question.partition(" ")
        if kind == "none":
            self._report.note(f"{self._config.original}: {text}")
            return contextlib.nullcontext("")
        self._questions += 1
        return self._reply()

    @cached_property
    def _started(self) -> bool:
        """Whether the agent listens; it starts now."""
        with self._noted():
            path = self._environment["SSH_AUTH_SOCK"]
            allowed = _patterns(self._config.pkcs11_provider, self._config.security_key_provider)
            with self._log.open("wb") as log:
                agent = ("ssh-agent", "-D", "-t", str(LIFETIME), "-P", allowed, "-a", path)
                process = subprocess.Popen(
                    ["sh", "-c", WATCHED, str(Path(path).parent), *agent],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    env=self._environment,
                    start_new_session=True,  # Ctrl-C is this process's
                )
            self._closing.callback(openssh.end, process)
            self._closing.callback(self._report.cancel.on_request(process.kill))
            deadline = time.monotonic() + START_TIMEOUT
            while error := _refusal(path, self._report):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise OSError(f"ssh-agent does not start: {error}")
                self._report.cancel.wait(0.01)
            return True
        return False


def _refusal(path: str, report: Reporter) -> str:
    """Why the agent behind a socket can't be asked."""
    with contextlib.closing(Agent(path, report.cancel)) as agent:
        return agent.error


def _unknown() -> AbstractContextManager[str]:
    return contextlib.nullcontext("")


class _Signature:
    """One that is waited for, and the PIN that was given for it."""

    def __init__(self, agent: Agent) -> None:
        self.agent, self.pin, self.answered = agent, "", threading.Event()


class _LoadedKey(SigningKey):
    """A key that signs within the context that `signing` makes."""

    def __init__(
        self, agent: Agent, blob: bytes, comment: str, signing: Callable[[Agent], AbstractContextManager[None]]
    ) -> None:
        super().__init__(agent, blob, comment)
        self._signing = partial(signing, agent)

    def sign_ssh_data(self, data: Any, algorithm: str | None = None) -> Any:
        with self._signing():
            return super().sign_ssh_data(data, algorithm)


def _patterns(*providers: str) -> str:
    """Libraries as ssh-agent looks for them among those that it may load (-P in ssh-agent(1))."""
    return ",".join(re.sub(r"[*?!,]", "?", os.path.realpath(one)) for one in providers if "/" in one)


class _Askpass(socketserver.ThreadingUnixStreamServer):
    """Has `reply` answer what `askpass.py` passes on."""

    daemon_threads = True

    def __init__(self, path: str, reply: Callable[[str], AbstractContextManager[str]]) -> None:
        super().__init__(path, _Question)
        self.reply = reply


class _Question(socketserver.StreamRequestHandler):
    server: _Askpass

    def handle(self) -> None:
        question = self.rfile.read().decode(errors="replace")
        with contextlib.suppress(OSError, Cancelled), self.server.reply(question) as answer:
            self.wfile.write(answer.encode())
            self.request.shutdown(socket.SHUT_WR)
