#!/usr/bin/env python3
"""What OpenSSH's programs run to ask for a secret (SSH_ASKPASS of ssh(1)): it passes the question on to Slipway."""

import os
import socket
import sys

with socket.socket(socket.AF_UNIX) as slipway:
    slipway.connect(os.environ["SLIPWAY_ASKPASS"])
    kind = os.environ.get("SSH_ASKPASS_PROMPT", "")  # `none`: only a notice
    slipway.sendall(f"{kind} {' '.join(sys.argv[1:])}".encode(errors="surrogateescape"))
    slipway.shutdown(socket.SHUT_WR)
    with slipway.makefile("rb") as stream:
        answer = stream.read()
sys.stdout.buffer.write(answer)
sys.exit(not answer)  # nobody knows it
