"""The URL of another repository, taken apart: what may be handed to git, and what may be printed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from runner.errors import UsageError

PORTS = {"http": 80, "https": 443, "ssh": 22}
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]+")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_PATH = re.compile(r"/[^\x00-\x20\x7f\"\\?#]*")


@dataclass(frozen=True, slots=True)
class Address:
    """One repository; `str` has no credentials in it."""

    scheme: str
    host: str
    port: int
    path: str
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def of(cls, url: str, source: str) -> Address:
        """Raises UsageError when git would be led astray by a URL, or Flux refuses it."""
        try:
            parts = urlsplit(url)
            port = parts.port or PORTS.get(parts.scheme, 0)
        except ValueError:
            raise UsageError(f"{source} has a spec.url that cannot be read", hint=_HINT) from None
        host, user = parts.hostname or "", unquote(parts.username or "")
        sound = (
            not _CONTROL.search(url)  # which the parser leaves out in silence
            and parts.scheme in PORTS
            and _HOST.fullmatch(host)
            and _PATH.fullmatch(parts.path)
            and (parts.scheme != "ssh" or not user or _USER.fullmatch(user))
            and not (parts.query or parts.fragment)
        )
        if not sound:
            raise UsageError(f"{source} has a spec.url that cannot be used", hint=_HINT)
        return cls(parts.scheme, host, port, parts.path, user, unquote(parts.password or ""))

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = self.port == PORTS[self.scheme]
        return f"{self.scheme}://{host}" + ("" if usual else f":{self.port}")

    @property
    def bare(self) -> str:
        """The URL as git gets it: over ssh with whom to log in as, else without anybody."""
        if self.scheme != "ssh":
            return str(self)
        return str(self).replace("://", f"://{self.user or 'git'}@", 1)

    def __str__(self) -> str:
        return f"{self.origin}{self.path}"


_HINT = "write it like https://example.com/team/repository.git or ssh://git@example.com/team/repository.git."
