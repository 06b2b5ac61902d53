"""The machines: how they are reached, and what one probe reads off them."""

import sys

sys.modules.setdefault("docker.transport.sshconn", None)  # type: ignore[arg-type]  # unused; its paramiko takes 60 ms
