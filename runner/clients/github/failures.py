"""What went wrong with a request to GitHub, in a sentence, and whether that passes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SAID = 300
"""Characters of GitHub's own words that are quoted."""

TIMEOUT = 408
GONE = 404
UNAUTHORIZED = 401
FORBIDDEN = 403
TOO_MANY = 429
SERVER_ERROR = 500


@dataclass
class Failure(Exception):
    """A request that brought nothing."""

    message: str
    status: int = 0
    said: str = ""
    again: bool = False
    """Whether it can bring something later."""
    lost: bool = False
    """Whether GitHub may have done what was asked all the same."""
    limited: bool = False
    """Whether GitHub wants fewer requests."""
    wait: float | None = None
    """The seconds until it wants the next, as far as it says so."""
    alone: bool = False
    """Whether the message says all there is: it is the same for everything that fails of it."""


def translate(exc: Exception, now: float) -> Failure:
    """The failure that an exception of PyGithub, requests or urllib3 stands for."""
    from github import GithubException

    if isinstance(exc, GithubException):
        return _refused(exc.status, exc.data, exc.headers or {}, now)
    return _unanswered(exc)


def denied(permission: str) -> Failure:
    """The token may not do it."""
    scope, _, access = permission.partition(": ")
    return Failure(
        f"the token may not {access} {scope.replace('-', ' ')}: `{permission}` is missing in the job's "
        "`permissions:` (a pull request from a fork or by Dependabot cannot have it)",
        status=FORBIDDEN,
        alone=True,
    )


def not_accessible(failure: Failure) -> bool:
    """Whether the token lacks a permission, rather than somebody the right to do this at all."""
    return failure.status == FORBIDDEN and failure.said.startswith("Resource not accessible by")


def _refused(status: int, data: object, headers: Mapping[str, str], now: float) -> Failure:
    from github.Requester import Requester

    said = _said(data)
    told = f"GitHub answered {status}{f': {said}' if said else ''}"
    headers = {name.lower(): value for name, value in headers.items()}
    limited = Requester.isRateLimitError(said) or "retry-after" in headers
    if status == TOO_MANY or (status == FORBIDDEN and limited):
        wait = _wait(headers, now)
        told += "" if wait is None else f" (to be tried again in {wait:.0f} s)"
        return Failure(told, status, said, again=True, limited=True, wait=wait)
    if status >= SERVER_ERROR or status == TIMEOUT:
        return Failure(told, status, said, again=True, lost=True)
    if status == UNAUTHORIZED:
        return Failure(f"GitHub does not accept the token ({said or status})", status, said, alone=True)
    return Failure(told, status, said)


def _wait(headers: Mapping[str, str], now: float) -> float | None:
    after = headers.get("retry-after", "")
    if after.isdigit():
        return float(after)
    reset = headers.get("x-ratelimit-reset", "")
    if headers.get("x-ratelimit-remaining") == "0" and reset.isdigit():
        return max(float(reset) - now, 0.0) + 1.0  # somewhen in that second
    return None


def _said(data: object) -> str:
    """GitHub's message with those about single fields; nothing of what is no answer of its API."""
    if not isinstance(data, Mapping) or not isinstance(data.get("message"), str):
        return ""
    errors = data.get("errors") or ()
    parts = [
        data["message"],
        *(str(each.get("message", "")) if isinstance(each, Mapping) else str(each) for each in errors),
    ]
    return " ".join("; ".join(part for part in parts if part).split())[:SAID]


def _unanswered(exc: Exception) -> Failure:
    from requests import ConnectionError as NoConnection
    from requests import ConnectTimeout
    from requests.exceptions import ProxyError, SSLError, Timeout
    from urllib3.exceptions import MaxRetryError, NewConnectionError
    from urllib3.exceptions import TimeoutError as TimedOut

    if isinstance(exc, SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(exc):
        return Failure(
            "GitHub's certificate cannot be verified; REQUESTS_CA_BUNDLE can name another authority"
        )
    reason = exc.args[0] if isinstance(exc, NoConnection) and exc.args else None
    if isinstance(reason, MaxRetryError):
        reason = reason.reason
    if isinstance(exc, ProxyError):
        return Failure("the proxy to GitHub does not work", again=True)
    if isinstance(exc, ConnectTimeout) or isinstance(reason, NewConnectionError):
        return Failure("GitHub cannot be reached", again=True)
    if isinstance(exc, Timeout | TimedOut):
        return Failure("GitHub did not answer in time", again=True, lost=True)
    return Failure("the connection to GitHub broke", again=True, lost=True)
