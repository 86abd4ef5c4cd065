"""What went wrong with an exchange, in words of ours."""

from __future__ import annotations

from collections.abc import Mapping

from urllib3 import exceptions

from runner.clients.network.messages import Failure, shown
from runner.clients.network.retries import Passing
from runner.clients.network.tls import hung_up
from runner.errors import SourceError


class Refused(Failure):
    """The server answered, with an error; `code` says which."""

    def __init__(self, message: str, *, code: int, headers: Mapping[str, str]) -> None:
        super().__init__(message)
        self.code = code
        self.headers = headers


def lost(error: exceptions.HTTPError, url: str) -> SourceError:
    cause = error.original_error if isinstance(error, exceptions.ProxyError) else error
    where = shown(url)
    match cause:
        case exceptions.SSLError() if not hung_up(cause):
            hint = "name its authority in SSL_CERT_FILE, or in the source's certSecretRef."
            return Failure(f"{where} cannot be trusted: {_verdict(cause)}", hint=hint)
        case exceptions.ConnectTimeoutError():
            return Passing(f"{where} cannot be reached: no answer to the connection attempt")
        case exceptions.TimeoutError():
            return Passing(f"{where} did not answer in time")
        case exceptions.IncompleteRead():
            return Passing(f"{where} cut the answer short")
        case exceptions.LocationParseError() | exceptions.LocationValueError():
            return Failure(f"{where} is no address")
        case _ if isinstance(error, exceptions.ProxyError):
            return Passing(f"{where} cannot be reached: the proxy refuses")
        case _:
            return Passing(f"{where} cut the connection")


def _verdict(error: BaseException) -> str:
    """The TLS library's own words."""
    inner: object = error.args[0] if error.args else error
    return str(getattr(inner, "verify_message", "")) or "the encrypted connection cannot be made"
