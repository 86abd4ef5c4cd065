"""What every test gets: a harmless environment, and the control plane's fixtures."""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import pytest

from tests.forked import COLD

# How long an example takes is the machine's business: no test is about time.
hypothesis.settings.register_profile(
    "house", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("house")

pytest_plugins = ["tests.cluster.fixture"]

ALLOWED_SKIPS: dict[str, str] = {
    "test_a_checkout_that_belongs_to_somebody_else": "only root can give files away",
}
"""Tests that may be skipped where CI=true, by a part of their name, each with the reason."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--health-timeout",
        action="store_true",
        help="wait for a health check's time-out, half a minute at least (tests/fidelity/test_controller.py)",
    )
    parser.addoption(
        "--every-write",
        action="store_true",
        help="kill a run at each of its writes; by default at some of them (tests/e2e/test_killed.py)",
    )
    parser.addoption(
        "--ask-flux",
        action="store_true",
        help="ask the real flux again what it has answered before (tests/fidelity/remembered.py)",
    )
    parser.addoption(
        "--cold",
        action="store_true",
        help="start Python anew for every command, instead of forking one with all imports (tests/forked.py)",
    )


def pytest_configure(config: pytest.Config) -> None:
    # A command that is started a thousand times is compiled once.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    harmless_environment()
    if config.getoption("--cold"):
        os.environ[COLD] = "1"


def harmless_environment() -> None:
    """Nobody's Git configuration and nobody's cluster: a test that needs one says so.

    Of the whole process, as fixtures that several tests share are made before those of one test.
    """
    for name in [name for name in os.environ if name.startswith(("GIT_", "INPUT_", "GITHUB_"))]:
        del os.environ[name]
    os.environ |= {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "KUBECONFIG": "/nonexistent/no-test-may-use-your-cluster",
    }
    for role in ("AUTHOR", "COMMITTER"):
        os.environ |= {f"GIT_{role}_NAME": "somebody", f"GIT_{role}_EMAIL": "somebody@example.org"}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Where everything should be there, a skipped test is a failure, unless it is listed with a reason."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        if any(part in item.nodeid for part in ALLOWED_SKIPS):
            return
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI does not allow: {report.longrepr}"
