"""Other repositories out of real Git servers: right ones file for file, wrong ones refused."""

from __future__ import annotations

import os
import ssl
import subprocess
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from runner.clients.archive import Limits
from runner.clients.git.remote import RemoteRepositories
from runner.clients.kept import KeptContent
from runner.clients.network import Policy, Resolver
from runner.errors import SourceError, UsageError
from runner.registries import Certificates, ProxyAccess
from runner.repositories import Commit, GitAccess, Keys
from tests.cluster import wait_until
from tests.cluster.certificates import Authority
from tests.gits import git_server, ssh_server, sshd
from tests.gits.over_ssh import key
from tests.integration.workspace import files, initial, isolate

SECRET = "s3cr3t-of-a-test"
BASIC = f"Basic {b64encode(f'robot:{SECRET}'.encode()).decode()}"
NAME = "kubernetes.default.svc"  # a name that the certificate has


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    isolate(monkeypatch)


@pytest.fixture
def repo(tmp_path):
    (tmp_path / "served").mkdir()
    made = initial(tmp_path / "served" / "fleet")
    made.write("apps/web.yaml", "kind: Web\n")
    made.write("infra/dns.yaml", "kind: Dns\n")
    made.commit("first")
    return made


@pytest.fixture
def make(tmp_path):
    """Clients, each with what it may reach."""
    made = []

    def one(*, private=True, lookup=None, cache="cache", **options):
        scratch = tmp_path / f"scratch-{len(made)}"
        scratch.mkdir(mode=0o700)
        resolver = Resolver(Policy(private=private), lookup)
        made.append(RemoteRepositories(resolver, KeptContent(tmp_path / cache), scratch, **options))
        return made[-1]

    yield one
    for each in made:
        each.cancel()
        assert [*each.directory.iterdir()] == []  # no login and no repository is left behind


@pytest.fixture
def client(make):
    return make()


def access(url, **options):
    return GitAccess("GitRepository/apps/web", url, **{"timeout": 30.0, **options})


def tip(client, where, ref="refs/heads/main", **options):
    refs = client.refs(where, (ref, f"{ref}^{{}}"))
    peeled = refs.get(f"{ref}^{{}}")
    return Commit(peeled or refs[ref], ref, refs[ref] if peeled else "", **options)


def pulled(client, where, tmp_path, commit=None):
    target = tmp_path / f"files-{len([*tmp_path.iterdir()])}"
    target.mkdir()
    client.pull(where, commit or tip(client, where), target)
    return files(target)


def refused(match, work, *, error=SourceError):
    with pytest.raises(error, match=match) as caught:
        work()
    assert SECRET not in f"{caught.value.message} {caught.value.hint}"
    return caught.value


ALL = {"apps/web.yaml", "infra/dns.yaml"}


def test_a_branch(repo, client, tmp_path):
    with git_server(repo.path.parent) as server:
        where = access(server.url("fleet"))
        assert tip(client, where).id == repo.git("rev-parse", "HEAD")
        assert pulled(client, where, tmp_path) == ALL


@pytest.mark.parametrize("annotated", [True, False])
def test_a_tag_that_moves_is_looked_up_once_in_a_run_and_anew_in_the_next(repo, make, tmp_path, annotated):
    how = ("-a", "-m", "x") if annotated else ()
    repo.git("tag", *how, "v1")
    with git_server(repo.path.parent) as server:
        one, where = make(), access(server.url("fleet"))
        first = tip(one, where, "refs/tags/v1")
        assert bool(first.tag) is annotated
        repo.write("new.yaml")
        second = repo.commit()
        repo.git("tag", "-f", *how, "v1")
        assert tip(one, where, "refs/tags/v1") == first
        assert pulled(one, where, tmp_path, first) == ALL
        two = make()
        assert tip(two, where, "refs/tags/v1").id == second
        assert pulled(two, where, tmp_path, tip(two, where, "refs/tags/v1")) == {*ALL, "new.yaml"}


def test_a_commit_that_no_ref_names(repo, client, tmp_path):
    old = repo.git("rev-parse", "HEAD")
    repo.write("new.yaml")
    repo.commit()
    with git_server(repo.path.parent) as server:
        assert pulled(client, access(server.url("fleet")), tmp_path, Commit(old)) == ALL
        missing = Commit("1" * 40, "refs/heads/main")
        refused(
            "no such commit|has no commit",
            lambda: pulled(client, access(server.url("fleet")), tmp_path, missing),
        )


@pytest.mark.parametrize("ref", ["refs/heads/main", ""])
def test_a_commit_that_a_server_does_not_hand_out_alone(repo, make, tmp_path, ref):
    """Then all of the branch is fetched, or of every branch."""
    old = repo.git("rev-parse", "HEAD")
    repo.write("new.yaml")
    repo.commit()
    with git_server(repo.path.parent, old=True) as server:
        where = access(server.url("fleet"))
        assert pulled(make(), where, tmp_path, Commit(old, ref)) == ALL
        asked = len(server.seen)
        assert pulled(make(), where, tmp_path, tip(make(), where)) == {*ALL, "new.yaml"}
        assert pulled(make(), where, tmp_path, Commit(old, ref)) == ALL
        assert len(server.seen) > asked
        missing = Commit("1" * 40, ref)
        refused("has no commit 1111", lambda: pulled(make(), where, tmp_path, missing))


def test_a_sparse_checkout(repo, client, tmp_path):
    with git_server(repo.path.parent) as server:
        where = access(server.url("fleet"))
        assert pulled(client, where, tmp_path, tip(client, where, only=("apps",))) == {"apps/web.yaml"}
        gone = tip(client, where, only=("nowhere",))
        refused("sparse checkout dir 'nowhere' does not exist", lambda: pulled(client, where, tmp_path, gone))


def test_what_was_fetched_is_kept_for_whoever_logs_in_the_same_way(repo, make, tmp_path):
    with git_server(repo.path.parent) as server:
        where = access(server.url("fleet"), user="robot", password=SECRET)
        commit = tip(make(), where)
        assert pulled(make(), where, tmp_path, commit) == ALL
        asked = len(server.seen)
        assert pulled(make(), where, tmp_path, commit) == ALL
        assert len(server.seen) == asked
        assert pulled(make(), replace(where, password="other"), tmp_path, commit) == ALL
        assert len(server.seen) > asked
        for each in (tmp_path / "cache").glob("*/*"):
            each.write_bytes(b"PACK spoilt")
        assert pulled(make(), where, tmp_path, commit) == ALL


# --- logins ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "right"),
    [(BASIC, {"user": "robot", "password": SECRET}), (f"Bearer {SECRET}", {"bearer": SECRET})],
)
def test_logins_over_http(repo, client, tmp_path, header, right):
    with git_server(repo.path.parent, login=header) as server:
        where = access(server.url("fleet"), **right)
        assert pulled(client, where, tmp_path) == ALL
        for wrong in (access(server.url("fleet")), replace(where, password="no", bearer="no")):
            error = refused("refuses the login", lambda wrong=wrong: tip(client, wrong))
            assert "spec.secretRef" in error.hint


def test_a_login_in_the_url_is_not_told(repo, client):
    with git_server(repo.path.parent, login="Basic nobody") as server:
        where = access(server.url("fleet").replace("://", f"://robot:{SECRET}@"))
        refused("http://127.0.0.1:.*/fleet refuses the login", lambda: tip(client, where))
        assert server.seen[-1][1]["authorization"] == BASIC


def test_nothing_of_the_login_is_in_arguments_or_the_environment(repo, client):
    with git_server(repo.path.parent, hang=True) as server, ThreadPoolExecutor(1) as pool:
        where = access(server.url("fleet"), user="robot", password=SECRET)
        waiting = pool.submit(tip, client, where)
        wait_until(lambda: server.seen, "the server is asked")
        seen = b""
        for what in ("cmdline", "environ"):
            for file in Path("/proc").glob(f"[0-9]*/{what}"):
                with suppress(OSError):  # it has ended
                    seen += file.read_bytes()
        assert b"ls-remote" in seen
        assert SECRET.encode() not in seen
        assert BASIC.encode() not in seen
        modes = {p.stat().st_mode & 0o077 for p in client.directory.rglob("login-*/*")}
        assert modes == {0}
        client.cancel()
        assert "cancelled" in str(waiting.exception(timeout=60))


def test_no_configuration_of_the_machine_counts(repo, client, tmp_path, monkeypatch):
    """A helper, an insteadOf and a hook that would tell on us."""
    told = tmp_path / "told"
    helper = tmp_path / "helper"
    helper.write_text(f"#!/bin/sh\ntouch {told}\n")
    helper.chmod(0o755)
    config = tmp_path / "gitconfig"
    config.write_text(f"[credential]\n\thelper = !{helper}\n[core]\n\taskPass = {helper}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_ASKPASS", str(helper))
    with git_server(repo.path.parent, login=BASIC) as server:
        refused("refuses the login", lambda: tip(client, access(server.url("fleet"))))
    assert not told.exists()


# --- what servers do wrong -------------------------------------------------------------------------------


def test_what_passes_is_tried_again(repo, client, tmp_path):
    with git_server(repo.path.parent, status=503, times=2) as server:
        assert pulled(client, access(server.url("fleet")), tmp_path) == ALL
        assert len(server.seen) > 3


def test_a_server_that_does_not_answer(repo, client):
    with git_server(repo.path.parent, hang=True) as server:
        refused("had no end in time", lambda: tip(client, access(server.url("fleet"), timeout=1.0)))


def test_a_server_that_is_not_there(client):
    refused("cannot be reached", lambda: tip(client, access("http://127.0.0.1:1/fleet", timeout=5.0)))


def test_a_repository_that_is_not_there(repo, client):
    with git_server(repo.path.parent) as server:
        refused("no such repository|HTTP status 404", lambda: tip(client, access(server.url("nowhere"))))


def test_a_repository_that_is_too_large(repo, make, tmp_path):
    repo.write("noise", os.urandom(3 << 20))
    repo.commit()
    with git_server(repo.path.parent) as server:
        where = access(server.url("fleet"))
        refused("has more than 1 MiB", lambda: pulled(make(limits=Limits(bytes=1 << 20)), where, tmp_path))


def test_a_repository_that_only_becomes_large_when_it_is_written(repo, make, tmp_path):
    repo.write("zeros", bytes(20 << 20))
    repo.commit()
    with git_server(repo.path.parent) as server:
        where = access(server.url("fleet"))
        small = make(limits=Limits(bytes=1 << 20))
        error = refused("its files are more than 1 MiB", lambda: pulled(small, where, tmp_path))
        assert "sparseCheckout" in error.hint
        few = make(limits=Limits(entries=2), cache="other")
        refused("or than 2", lambda: pulled(few, where, tmp_path))


def test_links_and_submodules_are_left_out(repo, client, tmp_path):
    (repo.path / "link.yaml").symlink_to("/etc/passwd")
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    repo.git("add", "link.yaml")
    repo.git("commit", "--quiet", "-m", "odd")
    with git_server(repo.path.parent) as server:
        where, target = access(server.url("fleet")), tmp_path / "out"
        target.mkdir()
        warnings = client.pull(where, tip(client, where), target)
        assert files(target) == ALL
        assert len(warnings) == 2


# --- where a preview does not go -------------------------------------------------------------------------


def test_a_preview_does_not_ask_this_machine(repo, make):
    with git_server(repo.path.parent) as server:
        for url in (server.url("fleet"), server.url("fleet").replace("http:", "ssh:")):
            where = access(url, identity="x", known_hosts="x")
            error = refused("it is a loopback address", lambda where=where: tip(make(private=False), where))
            assert "--allow-private-network" in error.hint
        assert server.seen == []


@pytest.mark.parametrize("target", ["http://169.254.169.254", "http://10.0.0.1"])
def test_nobody_is_redirected(repo, make, target):
    with git_server(repo.path.parent) as other, git_server(repo.path.parent, redirect=target) as server:
        refused("redirects to another address", lambda: tip(make(), access(server.url("fleet"))))
        server.redirect = f"http://127.0.0.1:{other.port}"
        where = access(server.url("fleet"), user="robot", password=SECRET)
        refused("redirects to another address", lambda: tip(make(), where))
        assert other.seen == []


def test_git_connects_to_the_address_that_was_checked(repo, make, tmp_path):
    """The name has no other address than the one that our own look-up gave."""
    with git_server(repo.path.parent) as server:
        asked = []

        def lookup(host, port):
            asked.append((host, port))
            return ("127.0.0.1",)

        where = access(server.url("fleet", "git.example.invalid"))
        assert pulled(make(lookup=lookup), where, tmp_path) == ALL
        assert asked == [("git.example.invalid", server.port)]
        assert server.seen[0][1]["host"] == f"git.example.invalid:{server.port}"


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c true", "file:///etc", "/etc", "git://host/x", "ssh://-oProxyCommand=x/y", "https://h/a?b",
        "ssh://-x@host/y", "https://host/a\nb", "ssh://git@host:x/y", "https:///x", "git@github.com:org/repo",
    ],
)  # fmt: skip
def test_urls_that_git_is_never_given(client, url):
    refused("has a spec.url that cannot be", lambda: tip(client, access(url)), error=UsageError)


def test_a_proxy_that_a_source_names(repo, make):
    """A proxy is a server like any other: a preview's policy counts for it too."""
    with git_server(repo.path.parent) as proxy:
        given = ProxyAccess(proxy.url(""), "me", SECRET)
        where = access("http://git.example.invalid/fleet", proxy=given)
        refused("it is a loopback address", lambda: tip(make(private=False), where))
        assert proxy.seen == []
        assert tip(make(), where).id == repo.git("rev-parse", "HEAD")
        assert proxy.seen[0][0].startswith("http://git.example.invalid/fleet/info/refs")


# --- encryption ------------------------------------------------------------------------------------------


def test_certificates(repo, make, tmp_path, monkeypatch):
    authority = Authority.create()
    made = authority.server()
    (tmp_path / "server.pem").write_bytes(made.certificate + b"\n" + made.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    ca = authority.credential.certificate.decode()

    def lookup(_host, _port):
        return ("127.0.0.1",)

    with git_server(repo.path.parent, context) as server:
        url = server.url("fleet", NAME)
        own = Certificates(named=True, ca=ca)
        assert pulled(make(lookup=lookup), access(url, certificates=own), tmp_path) == ALL
        error = refused("cannot be trusted", lambda: tip(make(lookup=lookup), access(url)))
        assert "SSL_CERT_FILE" in error.hint
        other = access(server.url("fleet", "other.test"), certificates=own)
        refused("cannot be trusted", lambda: tip(make(lookup=lookup), other))
        (tmp_path / "ca.pem").write_text(ca)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert tip(make(lookup=lookup), access(url)).id == repo.git("rev-parse", "HEAD")
        mine = authority.client("robot")
        pair = {"certificate": mine.certificate.decode(), "key": mine.key.decode()}
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=ca)
        with git_server(repo.path.parent, context) as strict:
            url = strict.url("fleet", NAME)
            assert tip(make(lookup=lookup), access(url, certificates=Certificates(named=True, ca=ca, **pair)))
            with pytest.raises(SourceError):
                tip(make(lookup=lookup), access(url, certificates=own, timeout=5.0))


@pytest.mark.skipif(not sshd(), reason="no sshd on this machine: package openssh-server")
def test_over_ssh(repo, make, tmp_path):
    keys = tmp_path / "keys"
    keys.mkdir()
    mine, other = key(keys, "mine"), key(keys, "other")
    locked = key(keys, "locked", SECRET)
    authorized = keys / "both.pub"
    authorized.write_text("".join(each.with_suffix(".pub").read_text() for each in (mine, locked)))
    (keys / "both").write_text(mine.read_text())
    with ssh_server(repo.path.parent, keys, authorized) as server:
        right = access(server.url("fleet"), identity=server.identity, known_hosts=server.known_hosts)
        assert pulled(make(), right, tmp_path) == ALL
        with_passphrase = replace(right, identity=locked.read_text(), password=SECRET)
        assert tip(make(), with_passphrase).id == repo.git("rev-parse", "HEAD")
        refused(
            "cannot be read|refuses the identity", lambda: tip(make(), replace(with_passphrase, password=""))
        )
        refused("refuses the identity", lambda: tip(make(), replace(right, identity=other.read_text())))
        stranger = f"[127.0.0.1]:{server.port} {other.with_suffix('.pub').read_text()}"
        for wrong in (stranger, "nobody.test ssh-ed25519 AAAA"):
            error = refused(
                "another host key", lambda wrong=wrong: tip(make(), replace(right, known_hosts=wrong))
            )
            assert "ssh-keyscan" in error.hint
        for missing in ({"identity": ""}, {"known_hosts": ""}):
            bare = replace(right, **missing)
            refused(
                "no Secret with identity and known_hosts",
                lambda bare=bare: tip(make(), bare),
                error=UsageError,
            )


# --- signatures ------------------------------------------------------------------------------------------


@pytest.fixture
def signing(repo, tmp_path):
    """Two SSH keys; the repository's commits and tags are signed by the first."""
    keys = tmp_path / "signing"
    keys.mkdir()
    mine, other = key(keys, "mine"), key(keys, "other")
    repo.git("config", "gpg.format", "ssh")
    repo.git("config", "user.signingKey", str(mine))
    return mine.with_suffix(".pub").read_text(), other.with_suffix(".pub").read_text()


def test_ssh_signatures(repo, client, tmp_path, signing):
    mine, other = signing
    unsigned = repo.git("rev-parse", "HEAD")
    signed = repo.commit("signed", "-S")
    repo.git("tag", "-s", "-m", "v1", "v1")
    repo.git("tag", "-a", "-m", "v2", "v2")
    with git_server(repo.path.parent) as server:
        where = access(server.url("fleet"))

        def pull(commit, **keys):
            return pulled(
                client, where, tmp_path, replace(commit, keys=Keys(**{"head": True, "tag": False, **keys}))
            )

        assert pull(Commit(signed), ssh=(other, f"# a comment\n{mine}")) == ALL
        refused("is not signed by a key of spec.verify", lambda: pull(Commit(signed), ssh=(other,)))
        refused("is not signed$", lambda: pull(Commit(unsigned), ssh=(mine,)))
        refused("a SSH signature, and .* no SSH key", lambda: pull(Commit(signed), pgp=("x",)))
        v1, v2 = (tip(client, where, f"refs/tags/{each}") for each in ("v1", "v2"))
        assert pull(v1, tag=True, ssh=(mine,)) == ALL
        refused("tag refs/tags/v2 is not signed", lambda: pull(v2, tag=True, ssh=(mine,)))
        refused("cannot verify a tag", lambda: pull(Commit(signed), tag=True, ssh=(mine,)))


def test_pgp_signatures(repo, client, tmp_path):
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--batch", "--homedir", str(home)]
    public = []
    for name in ("me", "other"):
        subprocess.run(
            [*gpg, "--passphrase", "", "--quick-generate-key", f"{name}@example.test", "ed25519", "sign"],
            check=True,
            capture_output=True,
        )
        armoured = [*gpg, "--armor", "--export", f"{name}@example.test"]
        public.append(subprocess.run(armoured, check=True, capture_output=True, text=True).stdout)
    program = tmp_path / "gpg"
    program.write_text(f'#!/bin/sh\nexec gpg --homedir {home} "$@"\n')
    program.chmod(0o755)
    repo.git("config", "gpg.program", str(program))
    repo.git("config", "user.signingKey", "me@example.test")
    signed = Commit(repo.commit("signed", "-S"))
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)
    with git_server(repo.path.parent) as server:
        where = access(server.url("fleet"))

        def pull(*rings):
            keys = Keys(head=True, tag=False, pgp=rings)
            return pulled(client, where, tmp_path, replace(signed, keys=keys))

        assert pull(public[0]) == ALL
        assert pull(public[1], public[0]) == ALL
        refused("is not signed by a key of spec.verify", lambda: pull(public[1]))
        refused("is not signed by a key of spec.verify", lambda: pull("no key"))


def test_who_waits_hears_of_an_interrupt(repo, client):
    with git_server(repo.path.parent, hang=True) as server, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(tip, client, access(server.url("fleet"), timeout=3600.0))
        wait_until(lambda: server.seen, "the server is asked")
        client.cancel()
        assert isinstance(waiting.exception(timeout=60), SourceError)
