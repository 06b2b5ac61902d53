"""Pebble, Let's Encrypt's authority for tests (RFC 8555), on an SSH host of the lab: it believes what that host answers."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.lab.machines import Host
from tests.lab.sources import program


@dataclass(frozen=True)
class Pebble:
    """The authority on `host`, at `port` and the next; `folder` gets its files. Certificates are good for `seconds`."""

    host: Host
    folder: Path
    names: tuple[str, ...]
    seconds: int = 7776000
    port: int = 14000

    def start(self) -> None:
        """Start it, with a certificate of its own for the host's address, and the names leading to the host."""
        self.folder.mkdir()
        address, own, key = self.host.address, self.folder / "own.pem", self.folder / "own.key"
        words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                 "-days", "2", "-subj", "/CN=pebble", "-addext", f"subjectAltName=IP:{address}",
                 "-keyout", str(key), "-out", str(own)]  # fmt: skip
        subprocess.run(words, check=True, capture_output=True)
        (self.folder / "config.json").write_text(json.dumps({"pebble": self._config}))
        machine = self.host.machine
        machine.run(f"mkdir -p {self._place}")
        for source in (program("pebble"), own, key, self.folder / "config.json"):
            machine.put(source, f"{self._place}/{source.name.partition('-')[0]}")
        for name in self.names:
            machine.run(f"echo '127.0.0.1 {name}' >>/etc/hosts")
        machine.run(
            f"PEBBLE_VA_NOSLEEP=1 PEBBLE_WFE_NONCEREJECT=0 setsid {self._place}/pebble -config {self._place}/config.json"
            f" >{self._place}/log 2>&1 </dev/null &"
        )

    @property
    def _place(self) -> str:
        return f"/opt/pebble-{self.port}"

    @property
    def _config(self) -> dict[str, Any]:
        return {
            "listenAddress": f"0.0.0.0:{self.port}",
            "managementListenAddress": f"0.0.0.0:{self.port + 1}",
            "certificate": f"{self._place}/own.pem",
            "privateKey": f"{self._place}/own.key",
            "httpPort": 80,
            "tlsPort": 443,
            "profiles": {"default": {"description": "what is asked for by default", "validityPeriod": self.seconds}},
        }

    @property
    def directory(self) -> str:
        """Where clients begin."""
        return f"https://{self.host.address}:{self.port}/dir"

    def root(self) -> Path:
        """The root that its certificates are signed below, as a file."""
        asked = f"https://{self.host.address}:{self.port + 1}/roots/0"
        answer = requests.get(asked, timeout=10, verify=str(self.folder / "own.pem"))
        answer.raise_for_status()
        path = self.folder / "root.pem"
        path.write_text(answer.text)
        return path
