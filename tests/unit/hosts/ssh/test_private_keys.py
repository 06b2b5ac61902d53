"""Private keys, against `ssh-keygen -y`: what that reads is read, whatever wrote the file."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from paramiko.ssh_exception import PasswordRequiredException

from slipway.errors import UsageError
from slipway.hosts.ssh.private_keys import load_private_key, public_key

SEALED = "open sesame"
OPENSSL = {  # the file that each makes; `ecparam` writes the parameters before the key
    "rsa pkcs8": "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out {file}",
    "rsa pkcs8 sealed": "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -aes256 -pass 'pass:{seal}' -out {file}",
    "rsa pkcs1": "openssl genrsa -traditional -out {file} 2048",
    "rsa pkcs1 sealed": "openssl genrsa -traditional -aes128 -passout 'pass:{seal}' -out {file} 2048",
    "ec pkcs8": "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {file}",
    "ec pkcs8 sealed": "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -aes256 -pass 'pass:{seal}' -out {file}",
    "ec parameters": "openssl ecparam -name prime256v1 -genkey -out {file}",
    "ed25519 pkcs8": "openssl genpkey -algorithm ED25519 -out {file}",
}
KEYGEN = {
    f"{kind} {form}{' sealed' * bool(password)}": f"ssh-keygen -q -t {kind} -m {form} -N '{password}' -f {{file}}"
    for kind in ("rsa -b 2048", "ecdsa", "ed25519")
    for form in ("RFC4716", "PEM", "PKCS8")
    for password in ("", "{seal}")
}


@pytest.mark.parametrize("name", [*OPENSSL, *KEYGEN])
def test_what_ssh_keygen_reads_is_read(tmp_path: Path, name: str) -> None:
    file, command = tmp_path / "key", (OPENSSL | KEYGEN)[name]
    words = command.format(file=file, seal=SEALED)
    subprocess.run(shlex.split(words), check=True, capture_output=True)
    file.chmod(0o600)
    is_sealed = name.endswith("sealed")
    asked = subprocess.run(
        ["ssh-keygen", "-y", "-P", SEALED if is_sealed else "", "-f", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode:  # an Ed25519 key in PKCS#8, for OpenSSH before 9.6: what it can't read may be read
        assert "ed25519" in name.lower()
        return
    public = " ".join(asked.stdout.split()[:2])
    key = load_private_key(file, SEALED if is_sealed else None)
    assert f"{key.get_name()} {key.get_base64()}" == public
    (tmp_path / "key.pub").unlink(missing_ok=True)
    if not is_sealed or "OPENSSH" in file.read_text():
        assert public_key(file) == key.asbytes()
    (tmp_path / "key.pub").write_text(f"{public} a comment\n")
    assert public_key(file) == public_key(tmp_path / "key.pub") == key.asbytes()
    if is_sealed:
        with pytest.raises(PasswordRequiredException):
            load_private_key(file, None)
        with pytest.raises(UsageError, match="wrong passphrase"):
            load_private_key(file, "wrong")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no key",
        "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END OPENSSH PRIVATE KEY-----\n",
        "ssh-ed25519 AAAA",
        "ssh-ed25519 !",
        "\0" * 100,
    ],
)
def test_what_is_no_key_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "key"
    file.write_text(text)
    assert public_key(file) is None
    with pytest.raises(UsageError, match="not a private key"):
        load_private_key(file, None)
