"""`{env: VARIABLE}`: an environment variable of whoever runs the command."""

from __future__ import annotations

import os

from slipway.config.secret_sources.source import EnvironmentSource


class FromEnv(EnvironmentSource):
    """The variable's name."""

    env: str

    def read(self) -> str:
        if self.env not in os.environ:
            raise ValueError(f"the environment variable {self.env} is not set")
        if not os.environ[self.env]:
            raise ValueError(f"the environment variable {self.env} is empty")
        return os.environ[self.env]
