"""What the API server's refusals mean, and how they are told; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson

from runner.errors import IMPERSONATION, ClusterError, Refused
from runner.model import account_ref

MESSAGE_LIMIT = 2_000
"""Characters of a server's message that are kept: some quote the whole object."""

DUMP_LIMIT = 120
"""Characters of an invalid value that are worth reading."""

_QUOTED = re.compile(r"Invalid value: [\w.*\[\]]*?[{\[]")
_WARNING = re.compile(r'(\d{3}) \S+ "((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
_WEBHOOK_AWAY = re.compile(
    r"connection refused|connection reset|i/o timeout|context deadline exceeded|Client\.Timeout|"
    r"no endpoints available|no route to host|EOF|certificate signed by unknown authority"
)
_IMPERSONATING = re.compile(r'(User "[^"]*") cannot impersonate')
_GRANT = "grant the kubeconfig's user this permission"
_STORE_AWAY = re.compile(r"etcdserver: (?:leader changed|request timed out|no leader|too many requests)")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the server, whole."""

    code: int
    body: bytes
    headers: Mapping[str, str]
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return 200 <= self.code < 300  # noqa: PLR2004 - the range of HTTP's successes

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server asks to wait; its dates are ignored, the API server sends none."""
        value = self.headers.get("Retry-After", "")
        return float(value) if value.isdecimal() else None


@dataclass(frozen=True, slots=True)
class Status:
    """The API's `Status`, which explains a refusal; empty when the answer was something else."""

    message: str = ""
    reason: str = ""
    code: int = 0
    fields: tuple[str, ...] = ()

    @classmethod
    def of(cls, value: object) -> Status:
        if not isinstance(value, dict) or value.get("kind") != "Status":
            return cls()
        details = value.get("details")
        causes = details.get("causes") if isinstance(details, dict) else None
        fields = (c.get("field") for c in causes or () if isinstance(c, dict))
        return cls(
            message=str(value.get("message") or ""),
            reason=str(value.get("reason") or ""),
            code=value["code"] if isinstance(value.get("code"), int) else 0,
            fields=tuple(str(field) for field in fields if field),
        )

    @classmethod
    def read(cls, body: bytes) -> Status:
        """The status in a body; a proxy's page or half a document is none, and never quoted."""
        try:
            return cls.of(orjson.loads(body))
        except orjson.JSONDecodeError:
            return cls()


def refusal(
    reply: Reply, what: str, *, server: str, private: Sequence[str] = (), acting: str = ""
) -> ClusterError:
    """The error for a reply that is no success.

    `what` is the object and what was tried with it, `Deployment/ns/app apply failed`; `private` are
    the values that must not be repeated; `acting` is the user that is impersonated.
    """
    if reply.code == HTTPStatus.UNAUTHORIZED:
        return unauthorized(server)
    status = Status.read(reply.body)
    text = shown(status, private) or _spoken(reply.code)
    if acting and reply.code == HTTPStatus.FORBIDDEN and (who := _IMPERSONATING.search(status.message)):
        return Refused(  # the same words of whatever was asked, so that they are said once
            f"{account_ref(acting)} cannot be acted as (Forbidden): {who[1]} may not impersonate it",
            code=reply.code,
            reason=IMPERSONATION,
            hint=f"allow the kubeconfig's user the verb impersonate on {account_ref(acting)}; until then "
            "nothing is done in its place with the run's own rights",
        )
    reason = f" ({status.reason})" if status.reason else ""
    return Refused(
        f"{what}{reason}: {text}",
        code=reply.code,
        reason=status.reason,
        hint=_hint(reply.code, acting),
        fields=status.fields,
    )


def object_in(body: bytes, what: str) -> dict[str, Any]:
    """The JSON object that a body is. Raises ClusterError when it is something else."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise ClusterError(
            f"{what}: the server's answer is no JSON object", hint="is this a Kubernetes API server?"
        )
    return value


def unauthorized(server: str) -> ClusterError:
    return ClusterError(
        f"credentials were refused (401) by {server}",
        code=HTTPStatus.UNAUTHORIZED,
        reason="Unauthorized",
        hint="renew the credentials in the kubeconfig: its token or certificate may have expired",
    )


def shown(status: Status, private: Sequence[str] = ()) -> str:
    """A status's message, short enough to show and without any private value."""
    message = status.message
    if repeats(message, private):
        places = f" ({', '.join(status.fields)})" if status.fields else ""
        message = f"the server's message repeats a value of the object and is not shown{places}"
    message = without_dumps(message)
    return message if len(message) <= MESSAGE_LIMIT else message[:MESSAGE_LIMIT] + "…"


def without_dumps(message: str) -> str:
    """A message without the whole objects that the server quotes as an invalid value."""
    kept, at = [], 0
    while found := _QUOTED.search(message, at):
        end = _closing(message, found.end() - 1)
        if end - found.end() <= DUMP_LIMIT:
            kept.append(message[at:end])
        else:
            kept.append(f"{message[at : found.start()]}Invalid value: …")
        at = end
    return "".join(kept) + message[at:]


def _closing(text: str, start: int) -> int:
    """Where the bracket that opens at `start` is closed; the end of the text when it never is."""
    depth, quoted, skip = 0, False, False
    for place in range(start, len(text)):
        char = text[place]
        if skip:
            skip = False
        elif char == "\\":
            skip = quoted
        elif char == '"':
            quoted = not quoted
        elif not quoted and char in "{[":
            depth += 1
        elif not quoted and char in "}]":
            depth -= 1
            if depth == 0:
                return place + 1
    return len(text)


def repeats(message: str, private: Sequence[str]) -> bool:
    """Whether a message contains one of the values, or a line of one, quoted or not."""
    flat = _flat(message)
    return any(line in flat for value in private for line in _lines(value))


def private_values(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """The values of a Secret, which no message may repeat; nothing for other kinds."""
    if manifest.get("kind") != "Secret" or manifest.get("apiVersion", "v1") != "v1":
        return ()
    return tuple(leaf for part in ("data", "stringData") for leaf in leaves(manifest.get(part)))


def leaves(value: object) -> Iterator[str]:
    """Every scalar in a JSON value, as text."""
    match value:
        case dict():
            for item in value.values():
                yield from leaves(item)
        case list() | tuple():
            for item in value:
                yield from leaves(item)
        case None:
            pass
        case _:
            yield str(value)


def warnings_of(headers: Iterable[str]) -> tuple[str, ...]:
    """The texts of `Warning: 299 - "text"` headers, each once, in order."""
    found = (match for header in headers for match in _WARNING.finditer(header))
    texts = (_ESCAPED.sub(r"\1", text) for code, text in (match.groups() for match in found) if code == "299")
    return tuple(dict.fromkeys(texts))


def not_executed(reply: Reply) -> bool:
    """Whether the server turned a write away before it did anything, for a cause that passes."""
    if reply.code == HTTPStatus.TOO_MANY_REQUESTS:
        return True
    if reply.code not in {HTTPStatus.CONFLICT, HTTPStatus.FORBIDDEN, HTTPStatus.INTERNAL_SERVER_ERROR}:
        return False
    message = Status.read(reply.body).message
    if "failed calling webhook" in message:
        return bool(_WEBHOOK_AWAY.search(message))
    if "conversion webhook for" in message:
        return "failed" in message
    return "Operation cannot be fulfilled on resourcequota" in message


def passes(reply: Reply) -> bool:
    """Whether the same request may well succeed in a moment."""
    if reply.code in {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}:
        return True
    if reply.code == HTTPStatus.INTERNAL_SERVER_ERROR and _STORE_AWAY.search(Status.read(reply.body).message):
        return True
    return not_executed(reply)


def _spoken(code: int) -> str:
    try:
        return f"the server answered {code} {HTTPStatus(code).phrase}"
    except ValueError:
        return f"the server answered {code}"


def _hint(code: int, acting: str) -> str:
    if code != HTTPStatus.FORBIDDEN:
        return ""
    return f"grant {account_ref(acting)} this permission" if acting else _GRANT


def _flat(text: str) -> str:
    """Without what quoting adds or changes: white space, back-slashes and quotes."""
    return re.sub(r'\\[nrt]|[\s\\"]', "", text)


def _lines(value: str) -> Iterator[str]:
    """A value as a whole and, as messages may quote a part, each line that is long enough to be telling."""
    if whole := _flat(value):
        yield whole
    for line in value.splitlines():
        if len(flat := _flat(line)) >= 4:  # noqa: PLR2004 - shorter ones are in every message
            yield flat
