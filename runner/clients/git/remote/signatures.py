"""Signed commits and tags: the object as git has it → who signed it, asked of gpg and ssh-keygen.

Source: fluxcd/pkg/git, signature (0.52): every signature is checked against the given keys and nothing else.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from runner.clients.git.remote.process import Limited
from runner.errors import SourceError

_PGP, _SSH = b"-----BEGIN PGP ", b"-----BEGIN SSH SIGNATURE-----"
_BEGIN = re.compile(rb"^-----BEGIN (?:PGP |SSH )", re.MULTILINE)
_PUBLIC = re.compile(r"(?:^|\s)((?:ssh-|ecdsa-|sk-)\S+\s+[A-Za-z0-9+/=]+)")
_BAD = ("BADSIG", "ERRSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG")
_SIGNER, _NAMESPACE = "author", "git"


class Signed(NamedTuple):
    """What was signed, and the signature."""

    payload: bytes
    signature: bytes


def of_commit(raw: bytes) -> Signed:
    """A commit object taken apart; its signature is a header."""
    head, separator, message = raw.partition(b"\n\n")
    kept, signature, inside = [], [], False
    for line in head.split(b"\n"):
        if inside and line.startswith(b" "):
            signature.append(line[1:])
            continue
        inside = line.startswith(b"gpgsig ")
        if inside:
            signature.append(line.removeprefix(b"gpgsig "))
        else:
            kept.append(line)
    return Signed(b"\n".join(kept) + separator + message, b"\n".join(signature))


def of_tag(raw: bytes) -> Signed:
    """A tag object taken apart; its signature is at the end."""
    found = [*_BEGIN.finditer(raw)]
    at = found[-1].start() if found else len(raw)
    return Signed(raw[:at], raw[at:])


def check(what: str, signed: Signed, pgp: Sequence[str], ssh: Sequence[str], run: Limited) -> None:
    """Make sure that one of the keys made a signature. Raises SourceError."""
    if not signed.signature.strip():
        raise SourceError(f"{what} is not signed", hint="spec.verify wants it signed.")
    if signed.signature.startswith(_PGP):
        kind, keys, verified = "PGP", pgp, _pgp
    elif signed.signature.startswith(_SSH):
        kind, keys, verified = "SSH", ssh, _ssh
    else:
        raise SourceError(f"{what} has a signature that is neither PGP's nor SSH's")
    if not keys:
        suffix = ".asc" if kind == "PGP" else ".sshpub"
        raise SourceError(
            f"{what} has a {kind} signature, and the Secret of spec.verify no {kind} key",
            hint=f"its name ends in {suffix}.",
        )
    with tempfile.TemporaryDirectory(dir=run.directory) as directory:  # mode 0700
        if not verified(signed, keys, Path(directory), run):
            raise SourceError(
                f"{what} is not signed by a key of spec.verify", hint="is a key missing, expired or revoked?"
            )


def _pgp(signed: Signed, keys: Sequence[str], directory: Path, run: Limited) -> bool:
    gpg = ("gpg", "--batch", "--no-tty", "--quiet", "--homedir", str(directory), "--status-fd", "1")
    for number, key in enumerate(keys):
        (directory / f"{number}.asc").write_text(key)
        run.run(*gpg, "--import", str(directory / f"{number}.asc"))  # one that is none verifies nothing
    payload, signature = _written(signed, directory)
    ended = run.run(*gpg, "--trust-model", "always", "--verify", str(signature), str(payload))
    _must_be_there(ended.status, "gpg")
    lines = ended.output.decode(errors="replace").splitlines()
    status = {line.split(" ")[1] for line in lines if line.startswith("[GNUPG:] ")}
    return ended.status == 0 and {"GOODSIG", "VALIDSIG"} <= status and not status.intersection(_BAD)


def _ssh(signed: Signed, keys: Sequence[str], directory: Path, run: Limited) -> bool:
    lines = [line for key in keys for line in key.splitlines() if not line.lstrip().startswith("#")]
    found = [match[1] for line in lines if (match := _PUBLIC.search(line))]
    allowed = directory / "allowed"
    allowed.write_text("".join(f'{_SIGNER} namespaces="{_NAMESPACE}" {each}\n' for each in found))
    payload, signature = _written(signed, directory)
    verify = ("ssh-keygen", "-Y", "verify", "-f", str(allowed), "-I", _SIGNER, "-n", _NAMESPACE)
    with payload.open("rb") as content:
        ended = run.run(*verify, "-s", str(signature), stdin=content)
    _must_be_there(ended.status, "ssh-keygen")
    return ended.status == 0


def _written(signed: Signed, directory: Path) -> tuple[Path, Path]:
    payload, signature = directory / "payload", directory / "signature"
    payload.write_bytes(signed.payload)
    signature.write_bytes(signed.signature)
    return payload, signature


def _must_be_there(status: int, program: str) -> None:
    if status in {126, 127}:  # the shell's, for what it cannot run
        raise SourceError(
            f"{program} can't be run, which spec.verify needs", hint=f"install {program} on this machine."
        )
