"""New services."""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING

from tasks.task import command

if TYPE_CHECKING:
    from tasks.invocation import Invocation


@command(changes=True, name="its name: lower-case letters, digits and -", port="where `local` publishes it")
def new(invocation: Invocation, name: str = "", port: str = "") -> None:
    """Create a Clojure service that builds, passes its tests and checks, and deploys as it is.

    Examples:
      ./invoke new invoices
      ./invoke new invoices --port 8090
      ./invoke new invoices --plan      only list the files

    """
    from slipway.errors import UsageError
    from slipway.scaffold import service
    from tasks.flags import whole_number

    if not name:
        raise UsageError("the new service needs a name", hint="--name invoices")
    config = invocation.config
    number = whole_number(port, "--port") if port else None
    overrides = config.environments["local"].services
    made = service.new_service(name, number, config.project.name, config.folder, config.services, overrides)
    next_steps = (
        f"{made.name}  {made.folder}",
        f"./invoke deploy --service {made.name}",
        f'curl "http://127.0.0.1:{made.port}/greetings?name=Ada"',
        f"its tests: cd {shlex.quote(str(made.folder))} && lein test",
    )
    invocation.run([service.create(made)], partial(tuple, next_steps))
