"""Fetching over HTTP, and which addresses a fetch may reach."""

from runner.clients.network.failures import Refused
from runner.clients.network.http import Http
from runner.clients.network.messages import Failure, Reply, Request
from runner.clients.network.policy import Policy, refusal
from runner.clients.network.proxies import Proxy
from runner.clients.network.resolve import Pinned, Resolver
from runner.clients.network.tls import Tls

__all__ = [
    "Failure",
    "Http",
    "Pinned",
    "Policy",
    "Proxy",
    "Refused",
    "Reply",
    "Request",
    "Resolver",
    "Tls",
    "refusal",
]
