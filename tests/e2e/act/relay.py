"""The API server, which listens at 127.0.0.1, at an address that containers can reach: Docker's bridge."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Self
from urllib.parse import urlsplit

import yaml

from tests.e2e.image.daemon import Docker


class Relay:
    """Passes bytes on in both directions; TLS stays between the ends. It can be told to go deaf."""

    def __init__(self, server: str, docker: Docker) -> None:
        url = urlsplit(server)
        self._upstream = (url.hostname, url.port)
        self._open = threading.Event()
        self._open.set()
        form = "{{ (index .IPAM.Config 0).Gateway }}"
        gateway = docker.run("network", "inspect", "bridge", "--format", form).stdout.strip()
        self._server = ThreadingTCPServer((gateway, 0), self._handler())
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def kubeconfig(self, path: Path) -> str:
        """The text of a kubeconfig that goes through here; the certificate is still the server's own."""
        config = yaml.safe_load(path.read_text())
        host, port = self._server.server_address[:2]
        config["clusters"][0]["cluster"] |= {
            "server": f"https://{host}:{port}",
            "tls-server-name": "localhost",
        }
        return str(yaml.safe_dump(config))

    def go_deaf(self) -> None:
        """From now on nothing is passed on, while connections stay, as in a network that breaks down."""
        self._open.clear()

    def _handler(self) -> type[BaseRequestHandler]:
        relay = self

        class Connection(BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError), socket.create_connection(relay._upstream) as upstream:
                    back = threading.Thread(target=relay._pump, args=(upstream, self.request), daemon=True)
                    back.start()
                    relay._pump(self.request, upstream)
                    back.join()

        return Connection

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._open.wait()
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
