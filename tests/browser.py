"""A real browser without a window, spoken to by its own debugging protocol: no driver has to be installed."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.request import urlopen

import websocket

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def installed() -> str | None:
    """The first browser on PATH that speaks the protocol."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@dataclass
class Page:
    """One open page; `said` is what it logged, `asked` the addresses that it wanted."""

    socket: websocket.WebSocket
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    _sent: int = 0
    _loaded: int = 0

    @classmethod
    def of(cls, address: str) -> Self:
        page = cls(websocket.create_connection(address, suppress_origin=True, timeout=60))
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        return page

    def call(self, method: str, **given: Any) -> dict[str, Any]:
        """Ask, and note what happens until the answer comes."""
        self._sent += 1
        self.socket.send(json.dumps({"id": self._sent, "method": method, "params": given}))
        while (answer := json.loads(self.socket.recv())).get("id") != self._sent:
            self._note(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, path: Path) -> None:
        """Open a file, and wait until it is there."""
        before = self._loaded
        self.call("Page.navigate", url=path.as_uri())
        while self._loaded == before:
            self._note(json.loads(self.socket.recv()))

    def run(self, script: str) -> Any:
        """The value of an expression; promises are waited for."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, condition: str, seconds: int = 50) -> None:
        """Until an expression is true."""
        self.run(
            "new Promise((done, never) => {"
            f" const last = Date.now() + {seconds * 1000};"
            f" const look = () => ({condition}) ? done() :"
            "   Date.now() > last ? never(new Error('in vain')) : setTimeout(look, 20);"
            " look(); })"
        )

    def press(self, key: str, **given: Any) -> None:
        """Press a key and let it go."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, **given)

    def window(self, width: int, height: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def prefer(self, scheme: str) -> None:
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def _note(self, event: dict[str, Any]) -> None:
        given = event.get("params", {})
        match event.get("method"):
            case "Page.loadEventFired":
                self._loaded += 1
            case "Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded":
                self.said.append(json.dumps(given))
            case "Network.requestWillBeSent":
                self.asked.append(given["request"]["url"])


@contextmanager
def browser(command: str) -> Iterator[Page]:
    """A browser with an empty profile and one page; it is gone afterwards."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = [
            "--headless=new", "--remote-debugging-port=0", f"--user-data-dir={profile}", "--no-first-run",
            "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions", "--disable-component-update",
            "--disable-background-networking", "--hide-scrollbars", "--remote-allow-origins=*",
        ]  # fmt: skip
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            flags.append("--no-sandbox")  # it refuses root's sandbox
        with subprocess.Popen(
            [command, *flags, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                page = Page.of(_address(process))
                try:
                    yield page
                finally:
                    with suppress(OSError, websocket.WebSocketException):
                        page.call("Browser.close")
                    page.socket.close()
            finally:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.communicate(timeout=20)
                process.kill()


def _address(process: subprocess.Popen[str]) -> str:
    """Where its first page listens: it says the port on stderr, when it is ready."""
    assert process.stderr
    for line in process.stderr:
        if "DevTools listening on ws://" in line:
            port = line.partition("ws://")[2].partition("/")[0]
            with urlopen(f"http://{port}/json/list", timeout=60) as answer:
                return next(
                    each["webSocketDebuggerUrl"] for each in json.load(answer) if each["type"] == "page"
                )
    raise AssertionError(f"{process.args} ended with {process.wait()}")
