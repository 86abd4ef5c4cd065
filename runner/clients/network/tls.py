"""Whom to trust, and who to be, on an encrypted connection."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from urllib3.exceptions import SSLError

from runner.errors import SourceError


def hung_up(error: object) -> bool:
    """Whether what TLS complains of is only that the other side went away, as in a handshake."""
    gone = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
    return isinstance(error, SSLError) and bool(error.args) and isinstance(error.args[0], gone)


@dataclass(frozen=True, slots=True)
class Tls:
    """The machine's authorities (SSL_CERT_FILE, SSL_CERT_DIR count), and what a source adds; all PEM."""

    ca: str = ""
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    verify: bool = True

    def context(self) -> ssl.SSLContext:
        """Raises SourceError when a certificate or key cannot be used."""
        context = ssl.create_default_context()
        if not context.cert_store_stats()["x509_ca"] and not ssl.get_default_verify_paths().capath:
            import certifi

            context.load_verify_locations(certifi.where())
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        try:
            if self.ca:
                context.load_verify_locations(cadata=self.ca)
            if self.certificate:
                self._identify(context)
        except (ssl.SSLError, ValueError) as exc:
            raise SourceError("a certificate or key that is given for the connection cannot be used") from exc
        return context

    def _identify(self, context: ssl.SSLContext) -> None:
        """The library reads a key from a file only."""
        with tempfile.TemporaryDirectory() as directory:  # mode 0700
            path = Path(directory) / "pair.pem"
            path.write_text(f"{self.certificate}\n{self.key}\n")
            context.load_cert_chain(path)
