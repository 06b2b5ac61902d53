"""`deploy --watch` on the real Docker: each save is deployed, the newest wins, and Ctrl-C ends it."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import threading
from collections.abc import Callable
from typing import Any

from tests.integration.project import LIGHT, Light, greets


def test_each_save_is_deployed_until_ctrl_c(light: Light) -> None:
    service_file, events = light.service / "service.yaml", queue.SimpleQueue[dict[str, Any]]()
    words = light.command("deploy", "--watch", "--output", "json")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as command:

        def read() -> None:
            for line in command.stdout or ():
                events.put(json.loads(line))

        def until(found: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
            return next(event for event in iter(lambda: events.get(timeout=120), None) if found(event))

        def waits(event: dict[str, Any]) -> bool:
            return event.get("text") == "waiting for the next save"

        def finished(event: dict[str, Any]) -> bool:
            return bool(event["event"] == "finished")

        threading.Thread(target=read, daemon=True).start()
        try:
            assert until(finished)["changed"] == 0
            for number in range(1, 4):
                until(waits)
                service_file.write_text(json.dumps({**LIGHT, "env": {"LEVEL": f"level {number}"}}))
                assert until(finished)["status"] == "done"
                assert f"LEVEL=level {number}" in light.inspect()["Config"]["Env"]
            until(waits)
            service_file.write_text(json.dumps({**LIGHT, "env": {"SAYS": "no greeting"}}))
            assert until(finished)["status"] == "failed"
            until(waits)
            service_file.write_text(json.dumps(LIGHT))
            assert until(finished)["status"] == "done"
            command.send_signal(signal.SIGINT)
            assert command.wait(30) == 130
        finally:
            command.kill()
    assert greets(light)
