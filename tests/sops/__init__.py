"""The real `sops`, with keys for age and OpenPGP; built once from pinned Go modules."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.clients.kustomize.toolchain import cache_dir, digest, go, go_environment, publish
from tests.cached_build import BuildError, alone, progress, say, span, tail

PINS = Path(__file__).parent
MINIMUM_GO = "1.26.0"
PACKAGES = {"sops": "github.com/getsops/sops/v3/cmd/sops", "age-keygen": "filippo.io/age/cmd/age-keygen"}
SECONDS = 100
"""What a build with nothing in Go's own cache took on two cores."""


def program(name: str) -> Path:
    """The program, built when there is none yet.

    Raises:
        BuildError: it cannot be built.
    """
    pins = [(PINS / file).read_bytes() for file in ("go.mod", "go.sum")]
    home = cache_dir() / "sops" / digest(pins)
    with alone(home, "sops"):
        if not (home / name).exists():
            _build(name, home)
    return home / name


def _build(name: str, home: Path) -> None:
    began, staging = time.monotonic(), home / f"{name}.{os.getpid()}"
    say(f"building {name}: about {span(SECONDS)}, once; it is kept in {home}")
    with progress(name, began):
        done = subprocess.run(
            [go(MINIMUM_GO), "build", "-ldflags", "-s -w", "-o", staging, PACKAGES[name]],
            cwd=PINS,
            env=go_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise BuildError(f"{name} could not be built:\n{tail(done.stderr)}")
    publish(staging, home / name)


@dataclass(frozen=True)
class AgeKey:
    """A new key, of X25519 or (`-pq`) of the kind that quantum computers leave alone."""

    secret: str
    recipient: str

    @classmethod
    def new(cls, *flags: str) -> AgeKey:
        done = subprocess.run(
            [program("age-keygen"), *flags], capture_output=True, text=True, check=True
        ).stdout
        recipient = re.search(r"# public key: (\S+)", done)
        assert recipient is not None
        return cls(done, recipient[1])

    @property
    def arguments(self) -> list[str]:
        return ["--age", self.recipient]


@dataclass(frozen=True)
class PgpKey:
    """A new key without a passphrase, in a home of its own."""

    home: Path
    fingerprint: str
    secret: str

    @classmethod
    def new(cls, home: Path) -> PgpKey:
        home.mkdir(mode=0o700)
        run = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--passphrase", ""]
        make = ["--quick-generate-key", "Test <test@example.test>", "rsa3072", "sign", "never"]
        subprocess.run([*run, *make], check=True, capture_output=True)
        listed = subprocess.run(
            [*run, "--with-colons", "--list-keys"], check=True, capture_output=True, text=True
        ).stdout
        fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
        subprocess.run(
            [*run, "--quick-add-key", fingerprint, "rsa3072", "encr", "never"],
            check=True,
            capture_output=True,
        )
        secret = subprocess.run(
            [*run, "--armor", "--export-secret-keys", fingerprint], check=True, capture_output=True, text=True
        ).stdout
        return cls(home, fingerprint, secret)

    @property
    def arguments(self) -> list[str]:
        return ["--pgp", self.fingerprint]

    def close(self) -> None:
        """End the agent that gpg has started."""
        subprocess.run(
            ["gpgconf", "--homedir", str(self.home), "--kill", "all"], check=False, capture_output=True
        )


def has_gpg() -> bool:
    return shutil.which("gpg") is not None


def seal(
    text: str | bytes, key: AgeKey | PgpKey, kind: str, *flags: str, keys: Sequence[AgeKey | PgpKey] = ()
) -> str:
    """What `sops encrypt` makes of a text of a kind: yaml, json, dotenv, ini or binary."""
    recipients = [argument for each in (key, *keys) for argument in each.arguments]
    home = {"GNUPGHOME": str(key.home)} if isinstance(key, PgpKey) else {}
    formats = ["--input-type", kind, "--output-type", "json" if kind == "binary" else kind]
    done = subprocess.run(
        [program("sops"), "--config", os.devnull, "encrypt", *recipients, *flags, *formats, "/dev/stdin"],
        input=text.encode() if isinstance(text, str) else text,
        capture_output=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **home},
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()
