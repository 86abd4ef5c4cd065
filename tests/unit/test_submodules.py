"""`.gitmodules` → which repositories are asked, and with whose login."""

from __future__ import annotations

import pytest

from runner.clients.git.listing import SUBMODULE, Entry
from runner.clients.git.remote.submodules import DEEPEST, access, listed, named
from runner.errors import SourceError, UsageError
from runner.ports import Blob
from runner.registries import Certificates, ProxyAccess
from runner.repositories import GitAccess

PROXY = ProxyAccess("http://proxy.example:3128", "me", "s3cr3t-of-the-proxy")
HTTPS = GitAccess(
    "GitRepository/apps/web",
    "https://git.example/team/web.git",
    user="robot",
    password="hunter2",
    certificates=Certificates(named=True, ca="PEM"),
    proxy=PROXY,
    timeout=7.0,
)
SSH = GitAccess(
    "GitRepository/apps/web", "ssh://git@git.example:2222/team/web", identity="KEY", known_hosts="h"
)


@pytest.mark.parametrize(
    ("url", "resolved"),
    [
        ("../lib.git", "https://git.example/team/lib.git"),
        ("./lib", "https://git.example/team/web.git/lib"),
        ("../../other/lib.git", "https://git.example/other/lib.git"),
        ("../../../../lib", "https://git.example/lib"),
        ("https://git.example/x.git", "https://git.example/x.git"),
    ],
)
def test_the_same_server_gets_the_login(url: str, resolved: str):
    made = access(HTTPS, url, "lib")
    assert (made.url, made.user, made.password) == (resolved, "robot", "hunter2")
    assert (made.certificates, made.proxy, made.timeout) == (HTTPS.certificates, PROXY, 7.0)


def test_a_login_of_the_url_goes_with_a_relative_one():
    outer = GitAccess("GitRepository/apps/web", "https://robot:hunter2@git.example/team/web.git")
    made = access(outer, "../lib.git", "lib")
    assert (made.url, made.user, made.password) == ("https://git.example/team/lib.git", "robot", "hunter2")


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/x.git",
        "https://git.example:8443/x.git",
        "http://git.example/x.git",
        "https://git.example.evil.example/x.git",
    ],
)
def test_no_other_server_does(url: str):
    made = access(HTTPS, url, "lib")
    assert made == GitAccess(HTTPS.source, url, proxy=PROXY, timeout=7.0)


@pytest.mark.parametrize(
    ("url", "resolved"),
    [
        ("../lib", "ssh://git@git.example:2222/team/lib"),
        ("git@other.example:team/lib.git", "ssh://git@other.example/team/lib.git"),
        ("other.example:/team/lib.git", "ssh://git@other.example/team/lib.git"),
        ("ssh://me@other.example/lib", "ssh://me@other.example/lib"),
    ],
)
def test_over_ssh_known_hosts_say_who_may_see_the_identity(url: str, resolved: str):
    made = access(SSH, url, "lib")
    assert (made.url, made.identity, made.known_hosts) == (resolved, "KEY", "h")


def test_an_identity_stays_away_from_http():
    made = access(SSH, "https://git.example/lib.git", "lib")
    assert (made.identity, made.known_hosts, made.password) == ("", "", "")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("/srv/git/lib", "submodule lib has a url that is not fetched"),
        ("file:///srv/git/lib", "submodule lib has a url that is not fetched"),
        ("ext::sh -c id", "submodule lib has a url that is not fetched"),
        ("https://git.example/x?y", "submodule lib has a url that is not fetched"),
        ("--upload-pack=x", "submodule lib has a url that is not fetched"),
        ("git@git.example:team/lib.git", "submodule lib is at an ssh:// url, and the login is none for ssh"),
    ],
)
def test_what_is_refused(url: str, told: str):
    with pytest.raises(UsageError, match=told) as caught:
        access(HTTPS, url, "lib")
    assert caught.value.message.startswith(HTTPS.source)
    assert "hunter2" not in caught.value.message + caught.value.hint


def test_what_the_file_says_is_read_by_path():
    output = (
        b"submodule.a.b.path\nvendor/a\0submodule.a.b.url\n../a\0submodule.a.b.branch\nmain\0"
        b"submodule.x.path\nx\0submodule.y.url\nz\0core.pager\nless\0"
    )
    assert listed(output) == {"vendor/a": "../a", "x": ""}


def test_links_and_the_file_have_to_fit():
    link = Entry("vendor/a", Blob(SUBMODULE, "1" * 40))
    (found,) = named([link], {"vendor/a": "../a", "gone": "../b"}, HTTPS, "x/", 2)
    assert (found.path, found.commit, found.depth) == ("x/vendor/a", "1" * 40, 2)
    with pytest.raises(SourceError, match=r"submodule vendor/a has no url in \.gitmodules"):
        named([link], {}, HTTPS, "", 1)
    with pytest.raises(SourceError, match="more than 10 levels deep"):
        named([link], {"vendor/a": "../a"}, HTTPS, "", DEEPEST + 1)
