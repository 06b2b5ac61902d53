"""The way from this process to a cluster that only another machine reaches: its kubeconfig, its API by a tunnel."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from slipway.engine.steps import null_reporter
from slipway.errors import Unreachable
from slipway.hosts.host import Command, Host
from slipway.hosts.tunnels import tunnel


def borrowed(host: Host, context: str, closing: ExitStack) -> str:
    """A kubeconfig file, mode 0600, of a context of the host's own, whose API answers on this machine's loopback.

    File and tunnel end with `closing`. Raises Problem where the host has no such context.
    """
    words = ("kubectl", "config", "view", "--minify", "--flatten", "--output=json", f"--context={context}")
    done = host.run(Command(words, timeout=60), null_reporter())
    if done.exit_code:
        details = done.stderr.decode(errors="replace").strip()
        raise Unreachable(f"there is no cluster on {host.name} yet", details=details)
    document = json.loads(done.text)
    for entry in document["clusters"]:
        server = urlsplit(entry["cluster"]["server"])
        dial = lambda server=server: host.open_tcp(server.hostname, server.port or 443)  # noqa: E731
        port = closing.enter_context(tunnel(0, dial))
        entry["cluster"]["server"] = f"https://127.0.0.1:{port}"
    file = Path(closing.enter_context(TemporaryDirectory(prefix="slipway-"))) / "kubeconfig"
    file.touch(mode=0o600)
    file.write_text(json.dumps(document))
    return str(file)
