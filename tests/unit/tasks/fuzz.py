"""Whatever people type: words for a command line, which is parsed and completed without running anything."""

from __future__ import annotations

import contextlib
import io
import os

import pytest
from hypothesis import strategies as st

from tasks import ns
from tasks.completion import candidates
from tasks.program import Slipway

WORDS = st.lists(
    st.one_of(
        st.sampled_from(
            [*ns.task_names, "cluster", "env", "help", "auth", "local", "--", "-", "--help", "-n", "-e", "-s"]
        ),
        st.sampled_from(
            ["--env", "--service=auth", "--plan=x", "--list", "-F", "json", "-l", "--yes", "--tail", "-T", "-1"]
        ),
        st.sampled_from(
            ["--dry", "-f", "-c", "-r", "--collection=x", "--complete", "--print-completion-script", "-D", "-nf"]
        ),
        st.text(max_size=8),
        st.binary(max_size=6).map(os.fsdecode),
    ),
    max_size=7,
)


def parse(words: list[str]) -> None:
    """Parse and complete a command line. Raises what would be a traceback."""
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        patch.setattr(Slipway, "execute", lambda _: None)
        with contextlib.suppress(SystemExit), contextlib.redirect_stderr(io.StringIO()):
            Slipway().run(["./invoke", *words])
        candidates(words, ns)
