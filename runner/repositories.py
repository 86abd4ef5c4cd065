"""What is read of another Git repository, and as whom. Immutable, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field

from runner.registries import Certificates, ProxyAccess


@dataclass(frozen=True, slots=True)
class GitAccess:
    """How to reach a repository, and as whom; what is empty is not given."""

    source: str  # whose it is; for messages
    url: str = field(repr=False)  # http, https or ssh; it may hold credentials
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)  # over ssh what the identity is encrypted with
    bearer: str = field(default="", repr=False)
    identity: str = field(default="", repr=False)  # a private key, for ssh
    known_hosts: str = ""
    certificates: Certificates = field(default_factory=Certificates)
    proxy: ProxyAccess | None = None  # None: what the environment says
    timeout: float = 60.0  # seconds, for one answer with all of its attempts


@dataclass(frozen=True, slots=True)
class Keys:
    """Public keys, and which objects have to be signed by one of them."""

    head: bool
    tag: bool
    pgp: tuple[str, ...] = ()  # armoured key rings
    ssh: tuple[str, ...] = ()  # in the form of authorized_keys


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of a repository, and how it was found."""

    id: str  # 40 hexadecimal digits
    ref: str = ""  # refs/heads/main; "" when the commit itself was asked for
    tag: str = ""  # the tag object that names it; "" for a tag without one
    only: tuple[str, ...] = ()  # what a file's path begins with; empty: every file
    keys: Keys | None = None  # None: no signature is asked for
    submodules: bool = False  # whether the files of these are wanted, too
