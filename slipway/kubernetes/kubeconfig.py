"""A kubeconfig for a cluster that only another host reaches: its API server is behind a tunnel of this process."""

from __future__ import annotations

import json
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from slipway.engine.reporter import null_reporter
from slipway.errors import Unreachable
from slipway.hosts.host import Command, Host
from slipway.hosts.tunnels import tunnel


def tunnelled_kubeconfig(host: Host, context: str, closing: ExitStack) -> str:
    """The path of a kubeconfig, mode 0600, of one of the host's contexts, whose server is a loopback port here.

    File and tunnel end with `closing`. Raises Unreachable where the host has no such context.
    """
    view = ("kubectl", "config", "view", "--minify", "--flatten", "--output=json", f"--context={context}")
    result = host.run(Command(view, timeout=60), null_reporter())
    if result.exit_code:
        details = result.stderr.decode(errors="replace").strip()
        raise Unreachable(f"there is no cluster on {host.name} yet", details=details)
    document = json.loads(result.text)
    for entry in document["clusters"]:
        server = urlsplit(entry["cluster"]["server"])
        connect = partial(host.open_tcp, server.hostname or "", server.port or 443)
        port = closing.enter_context(tunnel(0, connect))
        entry["cluster"]["server"] = f"https://127.0.0.1:{port}"
    file = Path(closing.enter_context(TemporaryDirectory(prefix="slipway-"))) / "kubeconfig"
    file.touch(mode=0o600)
    file.write_text(json.dumps(document))
    return str(file)
