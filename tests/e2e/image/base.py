"""The product's base image where no registry can be reached: Debian of the same release, made on the spot.

What is tagged `python:3.13-slim` here is a twin, not the original: the same Debian and the same Python
series, put together with debootstrap, plus the certificates that this machine trusts, without which
nothing can be downloaded while an image is built on it.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from runner.clients.kustomize import toolchain

TAG = "python:3.13-slim"
SUITE = "trixie"  # the Debian that has Python 3.13
PACKAGES = ("ca-certificates", "python3", "python3-pip", "python3-venv")
SETTINGS = ('CMD ["python3"]', "ENV LANG=C.UTF-8", "ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
PIP = "[global]\ncert = /etc/ssl/certs/ca-certificates.crt\nroot-user-action = ignore\n"
OURS = Path("/usr/local/share/ca-certificates")


def root_file_system() -> Path:
    """The tar file to import; made in half a minute when the cache has none of the same ingredients."""
    target = toolchain.cache_dir() / "base-image" / key() / "root.tar"
    if target.exists():
        return target
    staging = target.parent.with_name(f"{target.parent.name}.new")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="kustodian-root-", dir=staging) as directory:
        root = Path(directory) / "root"  # its own directory would have the wrong mode
        _bootstrap(root)
        _finish(root)
        _run("tar", "-C", str(root), "--numeric-owner", "-cf", str(staging / "root.tar"), ".")
    toolchain.publish(staging, target.parent)
    return target


def key() -> str:
    """Names everything that the image depends on, but for the day's package versions."""
    facts = (Path(__file__).read_text(), platform.machine(), *map(str, _certificates()))
    return toolchain.digest([*(fact.encode() for fact in facts), *(c.read_bytes() for c in _certificates())])


def _bootstrap(root: Path) -> None:
    _run("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(root))


def _finish(root: Path) -> None:
    for certificate in _certificates():
        shutil.copy(certificate, root / OURS.relative_to("/") / certificate.name)
    _run("chroot", str(root), "update-ca-certificates")
    (root / "etc/pip.conf").write_text(PIP)
    for name in ("python", "python3"):
        (root / "usr/local/bin" / name).symlink_to("/usr/bin/python3")
    for unwanted in _unwanted(root):
        unwanted.unlink()


def _unwanted(root: Path) -> Iterator[Path]:
    """What the original doesn't have either: Debian's lock on its own Python, and downloads."""
    yield from root.glob("usr/lib/python3*/EXTERNALLY-MANAGED")
    yield from root.glob("var/cache/apt/archives/*.deb")
    yield from (path for path in root.glob("var/lib/apt/lists/*") if path.is_file())


def _certificates() -> list[Path]:
    return sorted(OURS.glob("*.crt"))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {(done.stdout + done.stderr)[-2000:]}")
