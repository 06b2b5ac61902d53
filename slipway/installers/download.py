"""Downloads: into the user's cache by digest, resumed when cut off, verified before anything uses them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from urllib.parse import urlsplit

from slipway.engine.reporter import Reporter
from slipway.errors import Problem, Unreachable, untrusted_certificate
from slipway.hosts import locks

CHUNK = 1 << 18
CONNECT_TIMEOUT, READ_TIMEOUT = 5, 30  # seconds
ATTEMPTS, RETRY_FOR = 4, 120  # of a download that is cut off; seconds
SHA512_DIGITS = 128  # hexadecimal


def fetch(url: str, pinned: str, report: Reporter) -> str:
    """The path of a file with that digest (hex; sha256, or with 128 digits sha512): from the cache, else from `url`.

    Raises Unreachable when it can't be downloaded, and Problem when it is not what was pinned. A file with another
    digest is removed, a partial one kept.
    """

    def waiting(holder: str) -> None:
        report.waiting_for(f"{holder}, which is downloading {url}")

    from platformdirs import user_cache_path

    folder = user_cache_path("slipway", ensure_exists=True)
    path, algorithm = folder / pinned, "sha512" if len(pinned) == SHA512_DIGITS else "sha256"
    with locks.file_lock(folder / f"{pinned}.lock", f"another run (pid {os.getpid()})", waiting, report.cancel):
        if path.is_file() and digest(path, algorithm) == pinned:
            return str(path)
        part = path.with_suffix(".part")
        _download(url, part, report)
        actual = digest(part, algorithm)
        if actual != pinned:
            part.unlink(missing_ok=True)
            details = f"wanted {algorithm} {pinned}\ngot    {algorithm} {actual}"
            raise Problem(f"{url} is not the file that was pinned", details=details, hint="check config/tools.yaml")
        part.replace(path)
    return str(path)


def digest(path: Path, algorithm: str = "sha256") -> str:
    """The digest of a file, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _download(url: str, part: Path, report: Reporter) -> None:
    import requests
    import stamina
    import truststore

    truststore.inject_into_ssl()
    host = urlsplit(url).hostname or url

    @stamina.retry(on=requests.exceptions.ChunkedEncodingError, attempts=ATTEMPTS, timeout=RETRY_FOR)
    def attempt() -> None:
        have = part.stat().st_size if part.is_file() else 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        with requests.get(url, headers=headers, stream=True, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT)) as response:
            if response.status_code == 416:  # the file was already complete
                return
            response.raise_for_status()
            resumed = response.status_code == 206
            done = have if resumed else 0
            total = done + int(response.headers.get("Content-Length") or 0)
            with part.open("ab" if resumed else "wb") as file:
                for chunk in response.iter_content(CHUNK):
                    report.cancel.check()
                    done += file.write(chunk)
                    report.progress(done, total, "bytes")

    try:
        attempt()
    except requests.exceptions.SSLError as error:
        raise untrusted_certificate(host, str(error)) from error
    except (requests.RequestException, OSError) as error:
        hint = "check the network or proxy"
        raise Unreachable(f"{host} can't be reached", details=str(error), hint=hint) from error
