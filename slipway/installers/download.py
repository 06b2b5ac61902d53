"""Downloads: to the user's cache by digest, resumed when cut, checked before anything uses them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from urllib.parse import urlsplit

from slipway.engine.steps import Reporter
from slipway.errors import Problem, Unreachable, untrusted_certificate
from slipway.hosts import locks

CHUNK = 1 << 18
CONNECT, READ = 5, 30  # seconds
SHA512 = 128  # hexadecimal digits


def fetch(url: str, pinned: str, report: Reporter) -> str:
    """The path of a file with that digest (hex; sha256, or with 128 digits sha512): from the cache, else from `url`.

    Raises Problem when it can't be had or is not what was pinned; a wrong file is removed, a partial one kept.
    """
    from platformdirs import user_cache_path

    folder = user_cache_path("slipway", ensure_exists=True)
    path, kind = folder / pinned, "sha512" if len(pinned) == SHA512 else "sha256"
    told = lambda who: report.note(f"waits for {who}, which downloads {url}")  # noqa: E731
    with locks.file_lock(folder / f"{pinned}.lock", f"another run (pid {os.getpid()})", told, report.cancel):
        if path.is_file() and digest(path, kind) == pinned:
            return str(path)
        part = path.with_suffix(".part")
        _download(url, part, report)
        got = digest(part, kind)
        if got != pinned:
            part.unlink(missing_ok=True)
            details = f"wanted {kind} {pinned}\ngot    {kind} {got}"
            raise Problem(f"{url} is not the file that was pinned", details=details, hint="check config/tools.yaml")
        part.replace(path)
    return str(path)


def digest(path: Path, kind: str = "sha256") -> str:
    """The digest of a file, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def _download(url: str, part: Path, report: Reporter) -> None:
    import requests
    import stamina
    import truststore

    truststore.inject_into_ssl()
    host = urlsplit(url).hostname or url

    @stamina.retry(on=requests.exceptions.ChunkedEncodingError, attempts=4, timeout=120)
    def attempt() -> None:
        have = part.stat().st_size if part.is_file() else 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        with requests.get(url, headers=headers, stream=True, timeout=(CONNECT, READ)) as answer:
            if answer.status_code == 416:
                return
            answer.raise_for_status()
            resumed = answer.status_code == 206
            done = have if resumed else 0
            total = done + int(answer.headers.get("Content-Length") or 0)
            with part.open("ab" if resumed else "wb") as file:
                for chunk in answer.iter_content(CHUNK):
                    report.cancel.check()
                    done += file.write(chunk)
                    report.progress(done, total, "bytes")

    try:
        attempt()
    except requests.exceptions.SSLError as error:
        raise untrusted_certificate(host, str(error)) from error
    except (requests.RequestException, OSError) as error:
        details = str(error)
        raise Unreachable(f"{host} can't be reached", details=details, hint="check the network or proxy") from error
