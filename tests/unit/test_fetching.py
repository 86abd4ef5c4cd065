"""Which addresses a fetch may reach, and that what was checked is what is connected to."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from runner.clients.network.policy import Policy, refusal
from runner.clients.network.proxies import from_environment
from runner.clients.network.resolve import Forbidden, Resolver, Unresolved
from runner.clients.network.retries import retry_after
from runner.clients.oci import challenge, reference
from runner.errors import UsageError

PUBLIC, PRIVATE, NEVER = "anybody", "a deploy", "nobody"


@pytest.mark.parametrize(
    ("address", "who"),
    [
        ("140.82.112.3", PUBLIC),
        ("2606:50c0:8000::153", PUBLIC),
        ("64:ff9b::8c52:7003", PUBLIC),  # NAT64 of 140.82.112.3
        ("127.0.0.1", PRIVATE),
        ("127.8.9.10", PRIVATE),
        ("::1", PRIVATE),
        ("10.0.0.1", PRIVATE),
        ("172.16.0.1", PRIVATE),
        ("172.31.255.255", PRIVATE),
        ("192.168.1.1", PRIVATE),
        ("100.64.0.1", PRIVATE),
        ("fd12:3456::1", PRIVATE),
        ("::ffff:10.0.0.1", PRIVATE),
        ("::ffff:127.0.0.1", PRIVATE),
        ("64:ff9b::a00:1", PRIVATE),  # NAT64 of 10.0.0.1
        ("2002:a00:1::1", PRIVATE),  # 6to4 of 10.0.0.1
        ("169.254.169.254", NEVER),
        ("169.254.1.1", NEVER),
        ("fe80::1", NEVER),
        ("fd00:ec2::254", NEVER),
        ("fd20:ce::254", NEVER),
        ("100.100.100.200", NEVER),
        ("192.0.0.192", NEVER),
        ("168.63.129.16", NEVER),
        ("::ffff:169.254.169.254", NEVER),
        ("64:ff9b::a9fe:a9fe", NEVER),
        ("2002:a9fe:a9fe::1", NEVER),
        ("::a9fe:a9fe", NEVER),
        ("0.0.0.0", NEVER),  # noqa: S104 -- not bound
        ("::", NEVER),
        ("224.0.0.1", NEVER),
        ("ff02::1", NEVER),
        ("255.255.255.255", NEVER),
    ],
)
def test_policy(address, who):
    found = ipaddress.ip_address(address)
    assert bool(refusal(found, Policy())) is (who != PUBLIC)
    assert bool(refusal(found, Policy(private=True))) is (who == NEVER)


def test_one_bad_address_is_enough_to_refuse_a_name():
    resolver = Resolver(Policy(), lambda _host, _port: ["140.82.112.3", "10.1.2.3"])
    with pytest.raises(Forbidden, match=r"registry.example \(10.1.2.3\) is not reached from here"):
        resolver.pinned("registry.example", 443)


def test_a_name_is_resolved_once_so_it_cannot_change_between_check_and_connection():
    answers = iter([["140.82.112.3"], ["127.0.0.1"]])
    resolver = Resolver(Policy(), lambda _host, _port: next(answers))
    assert resolver.pinned("rebound.example", 443).addresses == ("140.82.112.3",)
    assert resolver.pinned("rebound.example", 443).addresses == ("140.82.112.3",)


@pytest.mark.parametrize(("errno", "again"), [(socket.EAI_AGAIN, True), (socket.EAI_NONAME, False)])
def test_a_name_server_that_is_busy_is_asked_again(errno, again):
    def fails(_host, _port):
        raise socket.gaierror(errno, "no")

    with pytest.raises(Unresolved) as caught:
        Resolver(Policy(), fails).pinned("nowhere.example", 443)
    assert caught.value.again is again


@pytest.mark.parametrize(
    ("host", "no", "proxied"),
    [
        ("ghcr.io", "", True),
        ("ghcr.io", "example.com", True),
        ("ghcr.io", "ghcr.io", False),
        ("ghcr.io:443", "ghcr.io:443", False),
        ("ghcr.io", "*", False),
        ("a.example.com", ".example.com", False),
        ("a.example.com", "*.example.com", False),
        ("badexample.com", "example.com", True),
        ("10.1.2.3", "10.0.0.0/8", False),
        ("11.1.2.3", "10.0.0.0/8", True),
        ("localhost", "", False),
        ("127.0.0.1", "", False),
    ],
)
def test_no_proxy(monkeypatch, host, no, proxied):
    monkeypatch.setenv("https_proxy", "http://me:secret@proxy.example:3128")
    monkeypatch.setenv("no_proxy", no)
    found = from_environment("https", host.partition(":")[0], 443)
    assert (found is not None) is proxied
    if found is not None:
        assert (found.url, found.user, found.password) == ("http://proxy.example:3128", "me", "secret")
        assert "secret" not in repr(found)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90.0),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0),
        ("soon", None),
        ("", None),
        ("-4", None),
    ],
)
def test_retry_after(given, seconds):
    assert retry_after({"retry-after": given}, 10.0) == seconds


@pytest.mark.parametrize(
    ("header", "scheme", "parameters"),
    [
        (
            'Bearer realm="https://a/t",service="the registry"',
            "bearer",
            {"realm": "https://a/t", "service": "the registry"},
        ),
        (
            'bearer realm="https://a/t?x=1,y=2", scope="a b=c"',
            "bearer",
            {"realm": "https://a/t?x=1,y=2", "scope": "a b=c"},
        ),
        ('Negotiate x=y, Basic realm="Bearer realm=z"', "basic", {"realm": "Bearer realm=z"}),
        ("Bearer realm=https://a/t", "bearer", {"realm": "https://a/t"}),
        ("Basic", "basic", {}),
        ("Negotiate", "", {}),
        ("", "", {}),
    ],
)
def test_challenges(header, scheme, parameters):
    found = challenge.read(header)
    assert (found.scheme if found else "", found.parameters if found else {}) == (scheme, parameters)


@pytest.mark.parametrize(
    ("url", "place", "local"),
    [
        ("oci://ghcr.io/stefanprodan/manifests/podinfo", "ghcr.io/stefanprodan/manifests/podinfo", False),
        ("oci://docker.io/fluxcd/x", "index.docker.io/fluxcd/x", False),
        ("oci://docker.io/alpine", "index.docker.io/library/alpine", False),
        ("oci://fluxcd/x", "index.docker.io/fluxcd/x", False),
        ("oci://localhost/x/y", "localhost/x/y", True),
        ("oci://127.0.0.1:5000/xy", "127.0.0.1:5000/xy", True),
        ("oci://[::1]:5000/xy", "[::1]:5000/xy", True),
        ("oci://192.168.0.1/xy", "192.168.0.1/xy", True),
        ("oci://registry.local:5000/xy", "registry.local:5000/xy", True),
        ("https://ghcr.io/x/y", None, None),
        ("oci://ghcr.io/x:1.0", None, None),
        ("oci://ghcr.io/x@sha256:0", None, None),
        ("oci://me:secret@ghcr.io/x", None, None),
        ("oci://ghcr.io/x/../y", None, None),
        ("oci://ghcr.io/UPPER", None, None),
        ("oci://ghcr.io", None, None),
    ],
)
def test_where_a_repository_is(url, place, local):
    if place is None:
        with pytest.raises(UsageError, match=r"OCIRepository/a/b: spec.url") as caught:
            reference.place(url, "OCIRepository/a/b")
        assert "secret" not in str(caught.value).replace("secretRef", "")
        return
    found = reference.place(url, "OCIRepository/a/b")
    assert (str(found), found.local) == (place, local)
