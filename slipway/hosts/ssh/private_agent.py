"""Keys that only OpenSSH's own programs can sign with: an ssh-agent of a login's own loads and uses them."""

from __future__ import annotations

import contextlib
import os
import re
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from paramiko import AgentKey

from slipway.config.host_secrets import VARIABLES
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
LIFETIME = 300  # seconds that it keeps a key, should this process be killed before it ends the agent

_refused_pins: set[tuple[str, str]] = set()  # with what they were given to: a token locks itself after a few
_pin_lock = threading.Lock()


class PrivateAgent:
    """An ssh-agent that starts when the first key is loaded. `close` ends it and removes its socket.

    `secret` gives a `pin` or a `passphrase`, "" if nobody knows it.
    """

    def __init__(self, config: SshConfig, secret: Callable[[str], str], report: Reporter) -> None:
        self._config, self._secret, self._report = config, secret, report
        self._errors: list[str] = []
        self._refused: UsageError | None = None
        self._pin = ""  # that an authenticator was given
        self._agents: list[Agent] = []
        self._closing = contextlib.ExitStack()
        self._asked = False  # whether a program asked for a secret
        self._answer: str | None = ""  # for it; None: a PIN is asked for

    @property
    def errors(self) -> list[str]:
        """What could not be used, and why."""
        return [*self._errors, *(agent.error for agent in self._agents if agent.error)]

    @property
    def refused(self) -> UsageError | None:
        """Which secret was wrong, if one was."""
        error = next((agent.error for agent in self._agents if agent.error), "")
        return _wrong("pin", "FIDO authenticator", error) if self._pin and error else self._refused

    def close(self) -> None:
        """End the agent and remove its socket."""
        if self._pin and self.refused:
            _refused_pins.add((self._config.security_key_provider, self._pin))
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
        self._answer = None
        return next((SigningKey(agent, key.blob, key.comment) for key in agent.get_keys() if key.blob == public), None)

    # OpenSSH's programs

    def _ask(self, kind: str, *argv: str) -> str:
        """What a program prints. It is run again with a secret if it fails and has asked for one."""
        with self._noted():
            answer, secret = self._run("", argv), ""
            if answer.returncode and self._asked and (secret := self._secret(kind)):
                answer = self._run_with_pin(secret, argv) if kind == "pin" else self._run(secret, argv)
            if not answer.returncode:
                return answer.stdout
            error = answer.stderr.strip()
            if secret:
                self._refused = _wrong(kind, argv[-1], error)
            raise OSError(f"{argv[-1]}: {error}")
        return ""

    def _run(self, secret: str, argv: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        self._answer, self._asked = secret, False
        return openssh.run(*argv, cancel=self._report.cancel, env=self._environment)

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
        self._closing.enter_context(serving(_Askpass(asked_at, self._reply)))
        variables = {"SSH_ASKPASS": str(ASKPASS), "SSH_ASKPASS_REQUIRE": "force", "SLIPWAY_ASKPASS": asked_at}
        variables["SSH_SK_PROVIDER"] = self._config.security_key_provider
        path = f"{os.environ.get('PATH', os.defpath)}:{Path(sys.executable).parent}"
        return {**os.environ, **variables, "SSH_AUTH_SOCK": f"{folder}/agent", "PATH": path}

    def _reply(self, question: str) -> str:
        """The answer to a program's question; a notice, such as that the authenticator waits for a touch, has none."""
        kind, _, text = question.partition(" ")
        if kind == "none":
            self._report.note(f"{self._config.original}: {text}")
            return ""
        self._asked = True
        answer, self._answer = self._answer, ""
        if answer is not None:
            return answer
        self._pin = self._secret("pin")
        return "" if (self._config.security_key_provider, self._pin) in _refused_pins else self._pin

    @cached_property
    def _started(self) -> bool:
        """Whether the agent listens; it starts now."""
        with self._noted():
            path = self._environment["SSH_AUTH_SOCK"]
            allowed = _patterns(self._config.pkcs11_provider, self._config.security_key_provider)
            process = subprocess.Popen(
                ["ssh-agent", "-D", "-t", str(LIFETIME), "-P", allowed, "-a", path],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
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


def _wrong(kind: str, what: str, error: str) -> UsageError:
    hint = f"check what was typed, or {VARIABLES[kind]}"
    return UsageError(f"{what}: wrong {NAMES[kind]}", details=error, hint=hint)


def _patterns(*providers: str) -> str:
    """Libraries as ssh-agent looks for them among those that it may load (-P in ssh-agent(1))."""
    return ",".join(re.sub(r"[*?!,]", "?", os.path.realpath(one)) for one in providers if "/" in one)


class _Askpass(socketserver.ThreadingUnixStreamServer):
    """Has `reply` answer what `askpass.py` passes on."""

    daemon_threads = True

    def __init__(self, path: str, reply: Callable[[str], str]) -> None:
        super().__init__(path, _Question)
        self.reply = reply


class _Question(socketserver.StreamRequestHandler):
    server: _Askpass

    def handle(self) -> None:
        with contextlib.suppress(OSError, Cancelled):
            self.wfile.write(self.server.reply(self.rfile.read().decode(errors="replace")).encode())
