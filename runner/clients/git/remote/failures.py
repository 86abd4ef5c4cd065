"""What git and ssh say went wrong → our errors; of their own words only what no server chooses is quoted."""

from __future__ import annotations

import re

from runner.clients.git.remote.process import Ended
from runner.clients.network import Failure
from runner.clients.network.retries import Passing
from runner.errors import SourceError

_LOGIN = "spec.secretRef names a Secret with username and password, or bearerToken, or (ssh) identity."
_STATUS = re.compile(r"returned error: (\d{3})")
_PASSING = re.compile(
    r"could not connect|couldn't connect|failed to connect|connection (refused|reset|timed out|closed)"
    r"|timed out|early eof|hung up|rpc failed|empty reply|gnutls_handshake|unexpected disconnect"
    r"|ssl_error_syscall",
    re.IGNORECASE,
)
_UNTRUSTED = re.compile(
    r"(server certificate verification failed|ssl certificate problem|certificate subject name"
    r"|no alternative certificate subject name|self.signed certificate)", re.IGNORECASE
)  # fmt: skip
_NO_LOGIN = re.compile(
    r"authentication failed|could not read (username|password)|invalid username", re.IGNORECASE
)


class Unadvertised(SourceError):
    """The server hands out nothing but what its branches and tags name."""


def too_big(where: str, limit: int) -> SourceError:
    return Failure(
        f"{where} has more than {limit >> 20} MiB",
        hint="an OCIRepository, or a repository of its own, can hold the manifests alone.",
    )


def told(ended: Ended, where: str) -> SourceError:
    """The error that a failed command stands for; some of them may pass (`Passing`)."""
    said = ended.error
    if "unadvertised object" in said or "not our ref" in said:
        return Unadvertised(f"{where} has no such commit, or does not hand it out")
    if "couldn't find remote ref" in said:
        return Failure(f"{where} has no such branch or tag")
    if "mismatched algorithms" in said:
        return Failure(f"{where} uses another hash than SHA-1, which Flux does not read")
    return _ssh(said, where) or _http(said, where) or _other(ended, where)


def _ssh(said: str, where: str) -> SourceError | None:
    if "Host key verification failed" in said:
        return Failure(
            f"{where} shows another host key than known_hosts has, or one that it lacks",
            hint="compare `ssh-keyscan` with what the server's owner publishes; put it into the Secret.",
        )
    if "Permission denied" in said:
        return Failure(f"{where} refuses the identity", hint="is it a deploy key, and the right one?")
    if "Load key" in said or "error in libcrypto" in said:
        return Failure(f"{where}: the Secret's identity cannot be read", hint="is `password` right?")
    return None


def _http(said: str, where: str) -> SourceError | None:
    if _UNTRUSTED.search(said):
        return Failure(
            f"{where} cannot be trusted: its certificate is of no known authority, or of another name",
            hint="ca.crt in the source's Secret, or SSL_CERT_FILE, names its authority.",
        )
    if _NO_LOGIN.search(said):
        return Failure(f"{where} refuses the login, or asks for one", hint=_LOGIN)
    match = _STATUS.search(said)
    if match is None:
        return None
    code = int(match[1])
    if 300 <= code < 400:  # noqa: PLR2004 -- a redirect
        return Failure(
            f"{where} redirects to another address, which is not followed", hint="put that into spec.url."
        )
    if code in {401, 403}:
        return Failure(f"{where} refuses the login (HTTP status {code})", hint=_LOGIN)
    if code >= 500 or code == 429:  # noqa: PLR2004
        return Passing(f"{where} answers with HTTP status {code}")
    return Failure(f"{where} answers with HTTP status {code}", hint="is spec.url right?")


def _other(ended: Ended, where: str) -> SourceError:
    said = ended.error
    if "not found" in said and "repository" in said:
        return Failure(f"{where} has no such repository, or does not show it", hint=_LOGIN)
    if _PASSING.search(said):
        return Passing(f"{where} cannot be reached, or cut the connection")
    return Failure(f"{where} cannot be fetched (git ended with {ended.status})", hint="try `git ls-remote`.")
