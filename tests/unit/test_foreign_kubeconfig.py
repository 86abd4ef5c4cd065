"""Kubeconfigs out of Secrets: what of them counts, and what is refused before anybody acts on it."""

from __future__ import annotations

import copy

import pytest
import yaml

from runner.clients.kubernetes import connect_by
from runner.errors import ClusterError

GOOD = {
    "current-context": "spoke",
    "contexts": [{"name": "spoke", "context": {"cluster": "c", "user": "u"}}],
    "clusters": [{"name": "c", "cluster": {"server": "https://spoke.example:6443"}}],
    "users": [{"name": "u", "user": {"token": "s3cret-token"}}],
}


def text(cluster=None, user=None, **top):
    made = copy.deepcopy(GOOD)
    made["clusters"][0]["cluster"] |= cluster or {}
    made["users"][0]["user"] |= user or {}
    return yaml.safe_dump({**made, **top}).encode()


def connected(data, asked=None):
    def addresses(host, port):
        if asked is not None:
            asked.append((host, port))
        return ("192.0.2.1",)

    return connect_by(data, "kubeConfig a/spoke", addresses)


def test_the_current_context_counts_and_nothing_is_sent():
    asked = []
    cluster = connected(text(), asked)
    assert (cluster.server, cluster.context) == ("https://spoke.example:6443", "spoke")
    assert asked == [("spoke.example", 6443)]
    assert sum(cluster.requests.values()) == 0


def test_what_runs_a_program_runs_none(tmp_path):
    mark = tmp_path / "ran"
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "touch", "args": [str(mark)]}
    with pytest.raises(ClusterError, match="exec runs a program"):
        connected(text(user={"exec": plugin}))
    assert not mark.exists()


@pytest.mark.parametrize(
    ("cluster", "user", "why"),
    [
        ({}, {"auth-provider": {"name": "gcp"}}, "auth-provider is not supported"),
        ({}, {"tokenFile": "/proc/self/environ"}, "tokenFile names a file"),
        ({}, {"client-certificate": "/etc/passwd"}, "client-certificate names a file"),
        ({}, {"client-key": "/etc/passwd"}, "client-key names a file"),
        ({"certificate-authority": "/etc/passwd"}, {}, "certificate-authority names a file"),
        ({"insecure-skip-tls-verify": True}, {}, "insecure-skip-tls-verify leaves the server unverified"),
        ({"proxy-url": "http://127.0.0.1:8080"}, {}, "proxy-url is not supported"),
        ({"server": "http://spoke.example"}, {}, "its server is not https://"),
        ({"server": "https://user:pass@spoke.example"}, {}, "its server is not https://"),
        ({"server": "https://spoke.example:port"}, {}, "its server is not https://"),
        ({"certificate-authority-data": "s3cret-***"}, {}, "certificate-authority-data is not in base64"),
    ],
)
def test_what_is_refused_is_named_and_no_address_is_asked_for_it(cluster, user, why):
    with pytest.raises(ClusterError, match=why) as caught:
        connected(text(cluster, user))
    assert caught.value.message.startswith("kubeConfig a/spoke: ")
    assert "s3cret" not in caught.value.message


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is no kubeconfig"),
        (b"\xff\xfe\x00", "is no kubeconfig"),
        (b"a: [s3cret", "is no kubeconfig"),
        (b"- s3cret", "is no kubeconfig"),
        (text(**{"current-context": ""}), "has no current-context"),
        (text(**{"current-context": "other"}), "its current-context has no context"),
        (text(contexts="none"), "its current-context has no context"),
        (text(clusters=[]), "its current-context has no cluster"),
        (text(users=[{"name": "v"}]), "its current-context has no user"),
    ],
)
def test_what_is_no_kubeconfig_says_so_without_its_text(data, why):
    with pytest.raises(ClusterError, match=why) as caught:
        connected(data)
    assert "s3cret" not in caught.value.message


def test_an_address_that_is_not_allowed_ends_it():
    def addresses(host, port):
        raise ClusterError(f"{host}:{port} is not reached from here")

    with pytest.raises(ClusterError, match=r"spoke\.example:6443 is not reached"):
        connect_by(text(), "kubeConfig a/spoke", addresses)


def test_other_contexts_do_not_count():
    users = [*GOOD["users"], {"name": "mean", "user": {"exec": {"command": "true"}}}]
    assert connected(text(users=users)).server == "https://spoke.example:6443"
