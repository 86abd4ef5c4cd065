"""The open connections of a pool, so that they can be cut when no time is left for an answer."""

from __future__ import annotations

import socket
import threading
import weakref
from contextlib import suppress
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool


class Connections:
    """Knows the connections that a pool manager makes from now on."""

    def __init__(self, manager: urllib3.PoolManager) -> None:
        self._made: weakref.WeakSet[HTTPConnection] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._over = False
        classes = manager.pool_classes_by_scheme
        manager.pool_classes_by_scheme = {scheme: self._told(each) for scheme, each in classes.items()}

    def cut(self) -> None:
        """End them all, also for threads that are blocked in one, and those that are still to be."""
        with self._lock:
            self._over = True
            made = tuple(self._made)
        for each in made:
            _shut(each)

    def _told(self, pool: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
        """The same kind of pool, whose connections say when they are made."""
        plain: Any = pool.ConnectionCls

        def connect(connection: HTTPConnection) -> None:
            plain.connect(connection)
            with self._lock:
                self._made.add(connection)
                over = self._over
            if over:
                _shut(connection)

        return type(
            pool.__name__, (pool,), {"ConnectionCls": type(plain.__name__, (plain,), {"connect": connect})}
        )


def _shut(connection: HTTPConnection) -> None:
    """Not as TLS sockets do it: those would send what comes next unencrypted."""
    if isinstance(connection.sock, socket.socket):
        with suppress(OSError):
            socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)
