"""Everything that git may know while it talks to one server: in files that nobody else can read, for as long.

Neither a command line nor an environment holds a credential. The machine's own configuration, its credential
helpers, its ssh agent and its hooks have no part in this.
"""

from __future__ import annotations

import os
import shlex
import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from runner.clients.git.remote.address import Address
from runner.clients.network import Pinned, Proxy, Resolver
from runner.clients.network.proxies import from_environment
from runner.clients.network.resolve import Unresolved
from runner.errors import UsageError
from runner.repositories import GitAccess

BIG_FILE = "1m"
"""From this size on git streams a file, where it would have all of it in memory."""


@dataclass(frozen=True, slots=True)
class Session:
    """`directory` is a new one of mode 0700, which goes when the conversation is over."""

    directory: Path
    access: GitAccess
    address: Address
    resolver: Resolver
    attempt: int = 0  # of several addresses of an ssh server each attempt takes the next

    def prepared(self) -> dict[str, str]:
        """Write the files, and return the environment that makes git read them.

        Raises:
            Forbidden, Unresolved: the server may not be reached, or has no address.
            UsageError: what it needs for its login is missing, or cannot be written down.
        """
        secure = self.address.scheme == "ssh"
        lines = [*self._common(), *(self._ssh() if secure else self._http())]
        self._write("config", "\n".join(lines) + "\n")
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.directory),
            "XDG_CONFIG_HOME": str(self.directory),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(self.directory / "config"),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "LANGUAGE": "C",  # what it says is read
            "LC_ALL": "C",
            **(self._passphrase() if secure and self.access.password else {}),
        }

    def _common(self) -> Iterator[str]:
        yield _section('remote "origin"', url=self.address.bare)
        yield _section("core", hooksPath=os.devnull, fsmonitor="false", bigFileThreshold=BIG_FILE)
        yield _section("fetch", unpackLimit="1")  # one pack, whose size is limited
        yield _section("protocol", allow="never")
        yield _section(f'protocol "{self.address.scheme}"', allow="always")
        yield _section("safe", directory="*")

    # --- http ---------------------------------------------------------------------------------------------

    def _http(self) -> Iterator[str]:
        host, port = self.address.host, self.address.port
        # A redirect would lead where nobody checked the address; git has no other way to follow one.
        yield _section("http", followRedirects="false", sslVerify="true")
        given = self.access.proxy
        if given is not None:
            named = Proxy.of(given.address)
            proxy = Proxy(named.url, given.user or named.user, given.password or named.password)
        else:
            found = from_environment(self.address.scheme, host, port)
            proxy = found if found is not None else Proxy("")
        if proxy.url:
            yield from self._through(proxy)
        else:
            yield _section("http", curloptResolve=_resolved(self.resolver.pinned(host, port)))
        if login := self._authorization():
            yield _section(f'http "{self.address.origin}"', extraHeader=f"Authorization: {login}")
        yield from self._certificates()

    def _through(self, proxy: Proxy) -> Iterator[str]:
        """The proxy resolves the name; what this machine knows about it counts all the same."""
        with suppress(Unresolved):  # behind a proxy often nobody else resolves outside names
            self.resolver.pinned(self.address.host, self.address.port)
        where = Address.of(f"{proxy.url}/", "the proxy")
        pinned = self.resolver.pinned(where.host, where.port) if not proxy.trusted else None
        login = f"{_quoted(proxy.user)}:{_quoted(proxy.password)}@" if proxy.user or proxy.password else ""
        yield _section("http", proxy=where.origin.replace("://", f"://{login}", 1))
        if pinned is not None:
            yield _section("http", curloptResolve=_resolved(pinned))

    def _authorization(self) -> str:
        user = self.access.user or self.address.user
        password = self.access.password or self.address.password
        if self.access.bearer:
            return f"Bearer {self.access.bearer}"
        return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}" if user else ""

    def _certificates(self) -> Iterator[str]:
        given, machine = self.access.certificates, _machines_authorities()
        if given.ca:
            self._write("ca.pem", f"{machine.read_text() if machine else ''}\n{given.ca}\n")
            yield _section("http", sslCAInfo=str(self.directory / "ca.pem"))
        elif machine is not None and os.environ.get("SSL_CERT_FILE"):
            yield _section("http", sslCAInfo=str(machine))
        if given.certificate:
            self._write("tls.crt", f"{given.certificate}\n")
            self._write("tls.key", f"{given.key}\n")
            files = {"sslCert": str(self.directory / "tls.crt"), "sslKey": str(self.directory / "tls.key")}
            yield _section("http", **files)

    # --- ssh ----------------------------------------------------------------------------------------------

    def _ssh(self) -> Iterator[str]:
        if not (self.access.identity and self.access.known_hosts):
            raise UsageError(
                f"{self.access.source} has an ssh:// URL, and no Secret with identity and known_hosts",
                hint="`flux create secret git` makes one; spec.secretRef names it.",
            )
        host, port = self.address.host, self.address.port
        addresses = self.resolver.pinned(host, port).addresses
        self._write("identity", f"{self.access.identity.rstrip()}\n")
        self._write("known_hosts", f"{self.access.known_hosts.rstrip()}\n")
        options = {
            "HostName": addresses[self.attempt % len(addresses)],
            # What known_hosts has is the name, not the address that was checked.
            "HostKeyAlias": host if port == PORT else f"[{host}]:{port}",
            "CheckHostIP": "no",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": str(self.directory / "known_hosts"),
            "GlobalKnownHostsFile": os.devnull,
            "UpdateHostKeys": "no",
            "IdentityFile": str(self.directory / "identity"),
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "PreferredAuthentications": "publickey",
            "NumberOfPasswordPrompts": "1",
            "BatchMode": "no" if self.access.password else "yes",  # it would not ask for the passphrase
            "ConnectTimeout": "10",
            "ForwardAgent": "no",
            "ClearAllForwardings": "yes",
        }
        command = ["ssh", "-F", os.devnull, *(f"-o{name}={value}" for name, value in options.items())]
        yield _section("core", sshCommand=shlex.join(command))
        yield _section("ssh", variant="ssh")

    def _passphrase(self) -> dict[str, str]:
        """Only from a program does ssh take a passphrase: one that reads the file beside it."""
        self._write("passphrase", f"{self.access.password}\n")
        file = shlex.quote(str(self.directory / "passphrase"))
        self._write("askpass", f"#!/bin/sh\nexec cat {file}\n", mode=0o700)
        return {
            "SSH_ASKPASS": str(self.directory / "askpass"),
            "SSH_ASKPASS_REQUIRE": "force",
            "DISPLAY": ":0",
        }

    def _write(self, name: str, text: str, mode: int = 0o600) -> None:
        handle = os.open(self.directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(handle, "w") as file:
            file.write(text)


PORT = 22


def _section(section: str, **settings: str) -> str:
    return "\n".join([f"[{section}]", *(f"\t{key} = {_value(value)}" for key, value in settings.items())])


def _value(text: str) -> str:
    """A value as git's configuration files have it. Raises UsageError for what no line can hold."""
    if any(character < " " or character == "\x7f" for character in text):
        raise UsageError("a value that is needed to reach a repository has a control character in it")
    return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))


def _resolved(pinned: Pinned) -> str:
    addresses = [f"[{each}]" if ":" in each else each for each in pinned.addresses]
    host = f"[{pinned.host}]" if ":" in pinned.host else pinned.host
    return f"{host}:{pinned.port}:{','.join(addresses)}"


def _quoted(text: str) -> str:
    return quote(text, safe="")


def _machines_authorities() -> Path | None:
    """The machine's own authorities, to which those of a source are added."""
    named = ssl.get_default_verify_paths().cafile
    if named is not None:
        return Path(named)
    import certifi

    return Path(certifi.where())
