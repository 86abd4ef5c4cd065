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
from tests.integration.workspace import files, initial

SECRET = "s3cr3t-of-a-test"
BASIC = f"Basic {b64encode(f'robot:{SECRET}'.encode()).decode()}"
NAME = "kubernetes.default.svc"  # a name that the certificate has


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


# --- submodules ------------------------------------------------------------------------------------------


@pytest.fixture
def nested(repo):
    """The fleet has lib at vendor/lib, and lib has deep; the pinned commits are no tips any more."""
    deep, lib = initial(repo.path.parent / "deep"), initial(repo.path.parent / "lib")
    deep.write("deep.yaml", "kind: Deep\n")
    lib.write("lib.yaml", "kind: Lib\n")
    lib.commit()
    link(repo, "vendor/lib", "../lib", link(lib, "deep", "../deep", deep.commit()))
    for each in (deep, lib):
        each.write("newer.yaml")
        each.commit()
    return repo


def link(outer, path, url, commit):
    file = outer.path / ".gitmodules"
    known = file.read_text() if file.exists() else ""
    outer.write(".gitmodules", f'{known}[submodule "the {path}"]\n\tpath = {path}\n\turl = {url}\n')
    outer.git("add", ".gitmodules")
    outer.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
    outer.git("commit", "--quiet", "-m", "link")
    return outer.git("rev-parse", "HEAD")


def recursive(client, where):
    return tip(client, where, submodules=True)


NESTED = {*ALL, ".gitmodules", "vendor/lib/.gitmodules", "vendor/lib/lib.yaml", "vendor/lib/deep/deep.yaml"}


def test_submodules_at_their_pinned_commits(nested, make, tmp_path):
    with git_server(nested.path.parent, login=BASIC) as server:
        where = access(server.url("fleet"), user="robot", password=SECRET)
        one = make()
        assert pulled(one, where, tmp_path, recursive(one, where)) == NESTED
        asked = [path for path, _ in server.seen]
        assert all(any(path.startswith(f"/{name}/") for path in asked) for name in ("fleet", "lib", "deep"))
        before = len([path for path, _ in server.seen if "/git-upload-pack" in path])
        two = make()
        assert pulled(two, where, tmp_path, recursive(two, where)) == NESTED
        packs = [path for path, _ in server.seen if "/git-upload-pack" in path][before:]
        assert not [path for path in packs if not path.startswith("/fleet/")]  # the others were kept


def test_submodules_that_are_not_asked_for_are_left_out(nested, client, tmp_path):
    with git_server(nested.path.parent) as server:
        target = tmp_path / "out"
        target.mkdir()
        where = access(server.url("fleet"))
        (warning,) = client.pull(where, tip(client, where), target)
        assert "submodule vendor/lib is left out" in warning
        assert files(target) == {*ALL, ".gitmodules"}


def test_the_login_stays_at_its_server(repo, make, tmp_path):
    other = initial(tmp_path / "other")
    other.write("a.yaml")
    commit = other.commit()
    with git_server(repo.path.parent, login=BASIC) as server, git_server(tmp_path) as stranger:
        link(repo, "lib", stranger.url("other"), commit)
        where, one = access(server.url("fleet"), user="robot", password=SECRET), make()
        assert "lib/a.yaml" in pulled(one, where, tmp_path, recursive(one, where))
        assert stranger.seen
        assert not [headers for _, headers in stranger.seen if "authorization" in headers]


def test_a_preview_is_led_nowhere_by_a_submodule(repo, make, tmp_path):
    """The repository is one that may be asked; the submodule is at an address that may not."""
    commit = repo.git("rev-parse", "HEAD")
    names = {"public.test": "127.0.0.1", "inside.test": "169.254.169.254"}
    with git_server(repo.path.parent) as server:
        link(repo, "lib", server.url("fleet", "inside.test"), commit)
        one = make(lookup=lambda host, _port: (names[host],))
        where = access(server.url("fleet", "public.test"))
        told = "GitRepository/apps/web: submodule lib: inside.test .* is not reached from here"
        refused(told, lambda: pulled(one, where, tmp_path, recursive(one, where)))


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("../gone", "submodule lib: http://127.0.0.1:[0-9]+/gone "),
        ("git@git.example:team/lib.git", "submodule lib is at an ssh:// url"),
        ("/etc", "submodule lib has a url that is not fetched"),
    ],
)
def test_submodules_that_cannot_be_had(repo, client, tmp_path, url, told):
    link(repo, "lib", url, "1" * 40)
    with git_server(repo.path.parent) as server:
        where = access(server.url("fleet"))
        with pytest.raises((SourceError, UsageError), match=told) as caught:
            pulled(client, where, tmp_path, recursive(client, where))
        assert caught.value.message.startswith("GitRepository/apps/web: ")
        assert "spec." not in caught.value.hint


def test_a_commit_that_a_submodule_does_not_have(nested, client, tmp_path):
    link(nested, "again", "../lib", "1" * 40)
    with git_server(nested.path.parent) as server:
        where = access(server.url("fleet"))
        error = refused(
            "submodule again: ", lambda: pulled(client, where, tmp_path, recursive(client, where))
        )
        assert ".gitmodules" in error.hint


def test_there_is_an_end_to_submodules(repo, make, tmp_path):
    lib = initial(repo.path.parent / "lib")
    lib.write("zeros", bytes(700 << 10))
    commit = lib.commit()
    for name in ("a", "b"):
        link(repo, name, "../lib", commit)
    with git_server(repo.path.parent) as server:
        where, small = access(server.url("fleet")), make(limits=Limits(bytes=1 << 20))
        refused(
            "submodule b: its files are more than 1 MiB",
            lambda: pulled(small, where, tmp_path, recursive(small, where)),
        )
