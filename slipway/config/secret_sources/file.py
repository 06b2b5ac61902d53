"""`{file: PATH}`: a text file of whoever runs the command, without its last line ends."""

from __future__ import annotations

from slipway.config.paths import expand_user
from slipway.config.secret_sources.source import EnvironmentSource


class FromFile(EnvironmentSource):
    """The path; it may start with ~."""

    file: str

    def read(self) -> str:
        try:
            value = expand_user(self.file).read_text().rstrip("\n")
        except OSError as error:
            raise ValueError(f"can't read {self.file}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ValueError(f"{self.file} is not text") from error
        if not value.strip() or "\0" in value:
            raise ValueError(f"{self.file} is {'not text' if value.strip() else 'empty'}")
        return value
