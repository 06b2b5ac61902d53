"""Hosts: how commands are run and files written there, and the facts that one probe reads."""

import sys

sys.modules.setdefault("docker.transport.sshconn", None)  # type: ignore[arg-type]  # unused; its paramiko takes 60 ms
