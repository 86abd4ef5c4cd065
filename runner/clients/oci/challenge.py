"""How a registry wants to be asked: its `WWW-Authenticate` header, and the token it stands for.

Source: the distribution specification's token authentication (docker's, RFC 6750's form), OAuth2 for
identity tokens.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode, urlsplit

from runner.clients.network import Http, Refused, Request
from runner.clients.network.messages import shown
from runner.clients.oci.credentials import Login
from runner.errors import SourceError

TOKEN_LIMIT = 1 << 20
CLIENT = "kustodian"
_SCHEME = re.compile(r"(?:^|,)\s*([A-Za-z]+)\s+(?=[A-Za-z_]+=)")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_PARAMETER = re.compile(r'([A-Za-z_]+)="((?:[^"\\]|\\.)*)"|([A-Za-z_]+)=([^\s",]+)')


@dataclass(frozen=True, slots=True)
class Challenge:
    """One scheme of a `WWW-Authenticate` header; names in lower case."""

    scheme: str  # bearer or basic
    parameters: dict[str, str] = field(default_factory=dict)


def read(header: str) -> Challenge | None:
    """The first scheme that we know; None when there is none."""
    unquoted = _QUOTED.sub(lambda match: "-" * len(match[0]), header)  # nothing in quotes is a scheme
    starts = [*_SCHEME.finditer(unquoted)]
    for number, start in enumerate(starts):
        scheme = start[1].lower()
        if scheme not in {"bearer", "basic"}:
            continue
        end = starts[number + 1].start() if number + 1 < len(starts) else len(header)
        found = _PARAMETER.finditer(header, start.end(), end)
        return Challenge(scheme, {(m[1] or m[3]).lower(): (m[2] or m[4] or "") for m in found})
    return Challenge("basic") if header.strip().lower() == "basic" else None


def authorization(challenge: Challenge, login: Login | None, http: Http, path: str, *, plain: bool) -> str:
    """The `Authorization` header that answers a challenge, to read the repository `path`.

    With `plain` the registry itself is not encrypted, so its token server need not be.

    Raises:
        SourceError: the token server refuses, or cannot be asked.
    """
    if challenge.scheme == "basic":
        return _basic(login) if login is not None else ""
    if login is not None and login.token:
        return f"Bearer {login.token}"
    realm = challenge.parameters.get("realm", "")
    if not plain and urlsplit(realm).scheme != "https":
        raise SourceError(f"the registry's token server {shown(realm)} is not encrypted")
    token = _token(challenge, realm, login, http, path)
    return f"Bearer {token}"


def _token(challenge: Challenge, realm: str, login: Login | None, http: Http, path: str) -> str:
    asked = {"service": challenge.parameters.get("service", ""), "scope": f"repository:{path}:pull"}
    asked = {name: value for name, value in asked.items() if value}
    try:
        if login is not None and login.identity:
            form = {**asked, "grant_type": "refresh_token", "refresh_token": login.identity}
            body = urlencode({**form, "client_id": CLIENT}).encode()
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            reply = http.send(Request(realm, TOKEN_LIMIT, headers, method="POST", body=body))
        else:
            headers = {"Authorization": _basic(login)} if login is not None else {}
            joint = "&" if urlsplit(realm).query else "?"
            query = urlencode(asked, quote_via=quote, safe=":/")
            reply = http.send(Request(f"{realm}{joint}{query}", TOKEN_LIMIT, headers))
    except Refused as exc:
        who = "its login" if login is not None else "an anonymous request"
        raise SourceError(f"the token server {shown(realm)} refuses {who} (HTTP status {exc.code})") from exc
    with reply.body:
        token = _read(reply.read())
    if not token:
        raise SourceError(f"the token server {shown(realm)} answers without a token")
    return token


def _read(body: bytes) -> str:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    given = (found.get("token") or found.get("access_token")) if isinstance(found, dict) else ""
    return given if isinstance(given, str) and given.isascii() and given.isprintable() else ""


def _basic(login: Login) -> str:
    return f"Basic {b64encode(f'{login.user}:{login.password}'.encode()).decode()}"
