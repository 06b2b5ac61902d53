"""A trial: an image run in a container of its own, asked whether it does what it should, and taken away."""

from __future__ import annotations

from slipway.errors import Problem
from slipway.hosts.docker import LABEL, Daemon, Spec
from slipway.steps import Say
from slipway.targets.container import ROLE, SERVICE, Names, bytes_of, ready
from slipway.targets.target import Ask, Verify, Wanted

GRACE = 2  # seconds that it gets to stop


def trial(daemon: Daemon, names: Names, wanted: Wanted, verify: Verify, ask: Ask, say: Say, *, keep: bool) -> None:
    """Run and verify what is wanted on a free port, beside what serves. `keep` leaves the container running.

    Raises Problem with the failed checks, the container's exit code and its last lines.
    """
    service, label = wanted.service, names.smoke(wanted.service.name)
    daemon.remove(label)
    daemon.network(names.project, {LABEL: names.project})
    made = daemon.create(
        Spec(
            name=label,
            image=wanted.image,
            labels={LABEL: names.project, SERVICE: service.name, ROLE: "smoke"},
            env={**service.env, **wanted.secrets},
            publish={service.port: 0},
            network=names.project,
            memory=bytes_of(service.resources.memory),
            scratch=tuple(part.path for part in service.storage.values()),
        )
    )
    try:
        daemon.start(made)
        base = f"http://127.0.0.1:{daemon.inspect(made).ports[service.port][1]}"
        ready(daemon, made, service, base, say)
        verdict = verify(service, base, ask, say)
        if not verdict.ok:
            failed = ", ".join(check for check, ok in verdict.checks.items() if not ok)
            raise Problem(f"{service.name}: smoke checks failed: {failed}", why=verdict.evidence)
        if keep:
            say.note(f"kept: it answers at {base}; docker logs {label}")
    except Problem as problem:
        inspected = daemon.inspect(made)
        lines = "\n".join(daemon.logs(made, 50, follow=False))
        evidence = f"{label}: {inspected.state}, exit code {inspected.exit}; its last lines:\n{lines}"
        again = f"./invoke deploy --service {service.name}; what served before still serves"
        fix = f"{problem.fix}\nmend it and run {again}"
        raise Problem(problem.what, why=f"{problem.why}\n{evidence}".strip(), fix=fix.strip()) from problem
    finally:
        if keep:
            say.note(f"kept: remove it with docker rm -f {label}")
        else:
            daemon.stop(made, GRACE)
            daemon.remove(made)
