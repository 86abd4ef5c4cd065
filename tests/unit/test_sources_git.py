"""GitRepository → which commit of which repository, and whose login; and what kustodian.yaml says instead."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field

import pytest

from runner import configuration
from runner.configuration import ElsewhereInGit
from runner.discover import parse
from runner.errors import SourceError, UsageError
from runner.fleet import Produced
from runner.model import FLUX, ResourceRef, SourceRef
from runner.origins import origins
from runner.registries import Certificates, ProxyAccess
from runner.repositories import Commit, Keys
from runner.sources import Checkout, GitRepositories
from tests.fakes.checkout import COMMIT, FakeBuilder, FakeRepository

A, B, C, D, T = (letter * 40 for letter in "abcde")
NAME = "GitRepository/apps/web"
URL = "https://git.example/team/web.git"
PASSWORD = "hunter2"
REFS = {
    "refs/heads/master": A,
    "refs/heads/main": B,
    "refs/tags/1.0.0": C,
    "refs/tags/1.1.0": T,
    "refs/tags/1.1.0^{}": D,
    "refs/pull/7/head": C,
}


@dataclass
class FakeRepositories:
    refs_of: dict[str, str] = field(default_factory=lambda: dict(REFS))
    asked: list[tuple] = field(default_factory=list)
    broken: bool = False

    def refs(self, access, names):
        self.asked.append(("refs", access, tuple(names)))
        if self.broken:
            raise SourceError("it is broken")
        wild = [name.removesuffix("*") for name in names if name.endswith("*")]
        return {k: v for k, v in self.refs_of.items() if k in names or any(k.startswith(w) for w in wild)}

    def pull(self, access, commit, target):
        self.asked.append(("pull", access, commit))
        (target / "commit").write_text(commit.id)
        (target / "skip.md").write_text("s")
        return ("a warning",)


@dataclass
class Builder(FakeBuilder):
    def newest(self, tags, within, matching="", *, chart=False):
        if within == "bad":
            raise UsageError("semver 'bad' parse error")
        return next((tag for tag in reversed(tags) if tag.startswith(within)), "")


@pytest.fixture
def repositories():
    return FakeRepositories()


@pytest.fixture
def live():
    return {}


@pytest.fixture
def checkout(tmp_path, repositories, live):
    def read(ref):
        if ref not in live:
            raise UsageError(f"{ref} is not read here")
        return live[ref]

    builder = Builder({})
    root = SourceRef("GitRepository", "flux-system", "flux-system")
    git = GitRepositories(lambda: repositories, builder, read)
    return Checkout(FakeRepository({}), builder, COMMIT, root, tmp_path / "made", git=git)


def git(name="web", version="v1", url=URL, **spec):
    return {
        "apiVersion": f"source.toolkit.fluxcd.io/{version}",
        "kind": "GitRepository",
        "metadata": {"name": name, "namespace": "apps"},
        "spec": {"interval": "1m", "url": url, **spec},
    }


def secret(name="login", **data):
    coded = {key: b64encode(value.encode()).decode() for key, value in data.items()}
    meta = {"name": name, "namespace": "apps"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": coded}


def artifact(checkout, *desired, kind="GitRepository"):
    k = parse(
        {
            "apiVersion": f"{FLUX}/v1",
            "kind": "Kustomization",
            "metadata": {"name": "web", "namespace": "apps"},
            "spec": {"interval": "1m", "prune": True, "sourceRef": {"kind": kind, "name": "web"}},
        }
    )
    known = {ResourceRef.of(each): Produced("flux-system/flux-system", each) for each in desired}
    return checkout.artifact(k, origins(k.source, known))


def asked(repositories):
    """How the files were asked for: as whom, and which commit."""
    (_, access, commit) = repositories.asked[-1]
    return access, commit


@pytest.mark.parametrize(
    ("ref", "revision", "commit"),
    [
        (None, f"master@sha1:{A}", Commit(A, "refs/heads/master")),
        ({"branch": "main"}, f"main@sha1:{B}", Commit(B, "refs/heads/main")),
        ({"branch": "main", "semver": "1."}, f"1.1.0@sha1:{D}", Commit(D, "refs/tags/1.1.0", T)),
        ({"tag": "1.0.0", "semver": "1."}, f"1.0.0@sha1:{C}", Commit(C, "refs/tags/1.0.0")),
        (
            {"name": "refs/pull/7/head", "tag": "1.1.0"},
            f"refs/pull/7/head@sha1:{C}",
            Commit(C, "refs/pull/7/head"),
        ),
        ({"commit": D, "tag": "1.0.0"}, f"sha1:{D}", Commit(D)),
        ({"commit": D, "branch": "main"}, f"main@sha1:{D}", Commit(D, "refs/heads/main")),
        ({"commit": D, "name": "refs/heads/x"}, f"refs/heads/x@sha1:{D}", Commit(D, "refs/heads/x")),
    ],
)
def test_the_order_of_references_is_fluxs(checkout, repositories, ref, revision, commit):
    made = artifact(checkout, git(**({} if ref is None else {"ref": ref})))
    assert made.revision == revision
    assert made.foreign
    assert made.warnings == ("a warning",)
    assert asked(repositories)[1] == commit
    assert checkout.fetched == {NAME: revision}


def test_a_source_is_fetched_once(checkout, repositories):
    first = artifact(checkout, git())
    assert artifact(checkout, git()) is first
    assert [each[0] for each in repositories.asked].count("pull") == 1
    repositories.broken = True
    for _ in range(2):
        with pytest.raises(SourceError, match="it is broken"):
            artifact(checkout, git(ref={"branch": "main"}))
    main = ("refs/heads/main", "refs/heads/main^{}")
    assert [what for what, _, names in repositories.asked if names == main] == ["refs"]
    assert checkout.fetched == {NAME: ""}


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"recurseSubmodules": True}, "sets spec.recurseSubmodules, which is not supported"),
        ({"provider": "github"}, "sets spec.provider github: only generic"),
        ({"certSecretRef": {"name": "x"}}, "sets spec.certSecretRef"),
        ({"serviceAccountName": "x"}, "sets spec.serviceAccountName"),
        ({"ref": {"digest": "x"}}, "sets spec.ref.digest"),
        ({"ref": {"commit": "abc"}}, "has spec.ref.commit 'abc'"),
        ({"ref": {"branch": "--upload-pack=x"}}, "has spec.ref.branch '--upload-pack=x', which Git does not"),
        ({"ref": {"tag": "a*"}}, "which Git does not allow"),
        ({"ref": {"name": "/refs/x"}}, "which Git does not allow"),
        ({"ref": {"branch": "nope"}}, "the repository has no branch nope"),
        ({"ref": {"tag": "nope"}}, "the repository has no tag nope"),
        ({"ref": {"semver": "9."}}, "no match found for semver: 9."),
        ({"ref": {"semver": "bad"}}, "has a spec.ref that cannot be read: semver 'bad'"),
        ({"sparseCheckout": "apps"}, "no list of directories"),
        ({"verify": {"mode": "all"}}, "has spec.verify.mode 'all'"),
        ({"verify": {"mode": "HEAD"}}, "has a spec.verify without secretRef.name"),
        ({"verify": {"secretRef": {"name": "keys"}}}, "Secret/apps/keys is not read here"),
        ({"secretRef": {"name": "login"}}, "Secret/apps/login is not read here"),
        ({"suspend": True}, "is suspended, and no revision of it is on record"),
        (
            {"url": "ssh://git@h/x", "proxySecretRef": {"name": "p"}},
            "sets spec.proxySecretRef, which is not supported over ssh",
        ),
        ({"include": [{"repository": {"name": "nope"}}]}, "which no Kustomization of this run defines"),
    ],
)
def test_what_is_refused_is_refused_by_name(checkout, spec, told):
    with pytest.raises(UsageError, match=told) as caught:
        artifact(checkout, git(**spec))
    assert "GitRepository/apps/" in caught.value.message or "Secret/" in caught.value.message


def test_what_is_false_is_not_set(checkout):
    assert artifact(checkout, git(recurseSubmodules=False, verify={}, provider="generic"))


def test_a_suspended_source_stays_where_it_was(checkout, repositories):
    checkout.recorded = {NAME: f"main@sha1:{D}"}
    assert artifact(checkout, git(suspend=True)).revision == f"main@sha1:{D}"
    assert [each[0] for each in repositories.asked] == ["pull"]
    assert asked(repositories)[1] == Commit(D)


@pytest.mark.parametrize(
    ("url", "data", "wanted"),
    [
        (URL, {"username": "me", "password": PASSWORD}, {"user": "me", "password": PASSWORD}),
        (URL, {"bearerToken": PASSWORD, "username": "me"}, {"bearer": PASSWORD, "user": ""}),
        (URL, {"caFile": "PEM"}, {"certificates": Certificates(named=True, ca="PEM")}),
        (URL, {"caFile": "old", "ca.crt": "PEM"}, {"certificates": Certificates(named=True, ca="PEM")}),
        (
            "ssh://git@h/x",
            {"identity": "KEY", "known_hosts": "h", "password": PASSWORD},
            {"identity": "KEY", "known_hosts": "h", "password": PASSWORD},
        ),
    ],
)
def test_logins(checkout, repositories, live, url, data, wanted):
    artifact(checkout, git(url=url, secretRef={"name": "login"}), secret(**data))
    access, _ = asked(repositories)
    assert {name: getattr(access, name) for name in wanted} == wanted
    assert PASSWORD not in repr(access)
    live[ResourceRef("apps", "login", "", "Secret", "v1")] = secret(**data)
    artifact(checkout, git(url=url, secretRef={"name": "login"}))  # only in the cluster
    assert asked(repositories)[0] == access


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"password": PASSWORD}, "has a password and no username"),
        ({"githubAppID": "1"}, "is of a GitHub App"),
        ({"tls.crt": "x"}, "has only one of tls.crt and tls.key"),
    ],
)
def test_a_login_that_is_none(checkout, data, told):
    with pytest.raises(UsageError, match=f"{NAME}: Secret login {told}") as caught:
        artifact(checkout, git(secretRef={"name": "login"}), secret(**data))
    assert PASSWORD not in caught.value.message


@pytest.mark.parametrize(
    ("mode", "head", "tag"),
    [(None, True, False), ("head", True, False), ("Tag", False, True), ("TagAndHEAD", True, True)],
)
def test_keys(checkout, repositories, mode, head, tag):
    verify = {"secretRef": {"name": "keys"}, **({"mode": mode} if mode else {})}
    keys = secret("keys", **{"a.asc": "PGP", "b.sshpub": "SSH", "other": "MORE"})
    artifact(checkout, git(verify=verify), keys)
    assert asked(repositories)[1].keys == Keys(head, tag, ("PGP", "MORE"), ("SSH",))


def test_the_rest_of_the_spec(checkout, repositories):
    spec = {"sparseCheckout": ["./apps", "infra"], "proxySecretRef": {"name": "proxy"}, "timeout": "7s"}
    artifact(checkout, git(**spec), secret("proxy", address="http://proxy:1", username="u", password="p"))
    access, commit = asked(repositories)
    assert commit.only == ("apps", "infra")
    assert access.proxy == ProxyAccess("http://proxy:1", "u", "p")
    assert access.timeout == 7.0


def test_what_it_includes_is_fetched_too(checkout):
    other = git("lib", url="https://git.example/lib", ref={"branch": "main"})
    made = artifact(checkout, git(include=[{"repository": {"name": "lib"}, "toPath": "lib"}]), other)
    assert (made.root / "lib/commit").read_text() == B
    assert set(checkout.fetched) == {NAME, "GitRepository/apps/lib"}
    circle = git("lib", url="https://git.example/lib", include=[{"repository": {"name": "web"}}])
    with pytest.raises(UsageError, match="a source is made of itself"):
        artifact(checkout, git(include=[{"repository": {"name": "lib"}}]), circle)


HERE = "https://github.com/example/fleet"


@pytest.mark.parametrize(
    "case",
    [
        (None, "main", "", False),
        ({"branch": "main"}, "main", "", False),
        ({"branch": "release"}, "main", "", True),
        ({"tag": "v1"}, "main", "", True),
        ({"branch": "main"}, "", "main", False),  # HEAD is detached: a pull request
        ({"branch": "release"}, "", "main", True),
    ],
)
def test_which_one_is_this_checkout(checkout, repositories, case):
    ref, branch, run, foreign = case
    checkout.repository, checkout.branch = FakeRepository({}, branch=branch), run
    repositories.refs_of |= {"refs/heads/release": A, "refs/tags/v1": A}
    made = artifact(checkout, git(url=HERE, **({"ref": ref} if ref else {})))
    assert made.foreign is foreign


def test_kustodian_yaml_maps_to_other_repositories(checkout, repositories):
    text = f"""
        sources:
          GitRepository/apps/web: {URL}
          Bucket/apps/web: {{url: {URL}, ref: {{tag: 1.0.0}}}}
    """
    found = configuration.read(text.encode()).sources
    assert found == {
        NAME: ElsewhereInGit(URL),
        "Bucket/apps/web": ElsewhereInGit(URL, (("tag", "1.0.0"),)),
    }
    checkout.mapped = found
    login = secret(username="me", password=PASSWORD)
    spec = {"ref": {"branch": "main"}, "secretRef": {"name": "login"}}
    made = artifact(checkout, git(url="https://gone.example/web", **spec), login)
    assert made.revision == f"main@sha1:{B}"
    assert (asked(repositories)[0].url, asked(repositories)[0].user) == (URL, "me")
    assert artifact(checkout, kind="Bucket").revision == f"1.0.0@sha1:{C}"


@pytest.mark.parametrize(
    "value",
    ["{url: 1}", "{url: 'ext::sh'}", "{url: 'https://h/x', ref: {tag: 1}}", "{url: 'https://h/x', x: 1}"],
)
def test_a_mapping_that_is_none(value):
    with pytest.raises(UsageError, match=r"^kustodian.yaml:1: .*GitRepository/a/b"):
        configuration.read(f"sources: {{GitRepository/a/b: {value}}}".encode())
