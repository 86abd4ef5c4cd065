"""OCIRepository → which artifact, and whose login; and what kustodian.yaml says instead."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field

import pytest

from runner import configuration
from runner.configuration import Directory, Elsewhere
from runner.discover import parse
from runner.errors import SourceError, UsageError
from runner.fleet import Produced
from runner.model import FLUX, Artifact, ResourceRef, SourceRef
from runner.origins import origins
from runner.registries import Certificates, Layer, ProxyAccess
from runner.rendered import ArtifactListing
from runner.sources import Checkout, OciRepositories
from tests.fakes.artifacts import FakeArtifacts
from tests.fakes.checkout import COMMIT, FakeBuilder, FakeRepository

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
NAME = "OCIRepository/apps/web"
PASSWORD = "hunter2"


@dataclass
class Builder(FakeBuilder):
    """Chooses the last tag that begins as the range does; leaves out what the ignore rules name."""

    def newest(self, tags, within, matching="", *, chart=False):
        if within == "bad":
            raise UsageError("semver 'bad' parse error")
        return next((tag for tag in reversed(tags) if tag.startswith(within) and matching in tag), "")

    def artifact(self, root, ignore=""):
        return ArtifactListing(excluded=tuple(name for name in ignore.split() if (root / name).is_file()))


@dataclass
class Repository(FakeRepository):
    texts: dict[str, str] = field(default_factory=lambda: {"vendor/web/a.yaml": "vendored", "b.yaml": "b"})

    def export(self, commit, target):
        for name, text in self.texts.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_text(text)
        return Artifact(target, f"main@sha1:{commit}")


@pytest.fixture
def artifacts():
    content = {digest: {"a.yaml": digest[-1], "skip.md": "s"} for digest in (A, B, C)}
    return FakeArtifacts({"latest": A, "1.0.0": B, "1.1.0-rc": C, "1.1.0": C}, content)


@pytest.fixture
def live():
    return {}


@pytest.fixture
def checkout(tmp_path, artifacts, live):
    def read(ref):
        if ref not in live:
            raise UsageError(f"{ref} is not read here")
        return live[ref]

    builder = Builder({})
    root = SourceRef("GitRepository", "flux-system", "flux-system")
    oci = OciRepositories(lambda: artifacts, builder, read)
    return Checkout(Repository({}), builder, COMMIT, root, tmp_path / "made", oci=oci)


def oci(version="v1", **spec):
    return {
        "apiVersion": f"source.toolkit.fluxcd.io/{version}",
        "kind": "OCIRepository",
        "metadata": {"name": "web", "namespace": "apps"},
        "spec": {"interval": "1m", "url": "oci://ghcr.io/example/web", **spec},
    }


def secret(name="login", **data):
    coded = {key: b64encode(value.encode()).decode() for key, value in data.items()}
    meta = {"name": name, "namespace": "apps"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": coded}


def kustomization(kind="OCIRepository"):
    return parse(
        {
            "apiVersion": f"{FLUX}/v1",
            "kind": "Kustomization",
            "metadata": {"name": "web", "namespace": "apps"},
            "spec": {"interval": "1m", "prune": True, "sourceRef": {"kind": kind, "name": "web"}},
        }
    )


def artifact(checkout, *desired, kind="OCIRepository"):
    k = kustomization(kind)
    known = {ResourceRef.of(each): Produced("flux-system/flux-system", each) for each in desired}
    return checkout.artifact(k, origins(k.source, known))


def files(made):
    return {p.name: p.read_text() for p in sorted(made.root.rglob("*")) if p.is_file()}


@pytest.mark.parametrize(
    ("ref", "revision"),
    [
        (None, f"latest@{A}"),
        ({}, f"latest@{A}"),
        ({"tag": "1.0.0"}, f"1.0.0@{B}"),
        ({"semver": "1.", "tag": "latest"}, f"1.1.0@{C}"),
        ({"semver": "1.", "semverFilter": "rc"}, f"1.1.0-rc@{C}"),
        ({"digest": A, "semver": "1.", "tag": "1.0.0"}, A),
    ],
)
def test_the_order_of_references_is_fluxs(checkout, ref, revision):
    made = artifact(checkout, oci(**({} if ref is None else {"ref": ref})))
    assert made.revision == revision
    assert files(made)["a.yaml"] == revision[-1]
    assert checkout.fetched == {NAME: revision}


def test_ignore_is_for_what_is_extracted(checkout):
    assert "skip.md" not in files(artifact(checkout, oci(ignore="skip.md")))
    copied = oci(ignore="skip.md", layerSelector={"mediaType": "x/y", "operation": "copy"})
    assert "skip.md" in files(artifact(checkout, copied))


def test_the_layer_is_told(checkout, artifacts):
    artifact(checkout, oci(layerSelector={"mediaType": "x/y", "operation": "copy"}))
    assert artifacts.asked[-1][-1] == Layer("x/y", copied=True)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"verify": {"provider": "notation"}}, r"sets spec.verify \(notation\): signatures are not checked"),
        ({"verify": {}, "provider": "aws"}, "sets spec.provider aws"),
        ({"provider": "azure"}, "sets spec.provider azure"),
        ({"surprise": 1}, "sets spec.surprise, which is not supported"),
        ({"ref": {"commit": "x"}}, "sets spec.ref.commit"),
        ({"ref": "latest"}, "has spec.ref, which is not an object"),
        ({"ref": {"tag": 1}}, "has spec.ref.tag, which is not a string"),
        ({"ref": {"semver": "bad"}}, "semver 'bad' parse error"),
        ({"ref": {"semver": "9."}}, "finds no match for semver: 9."),
        ({"layerSelector": {"operation": "unzip"}}, "the unsupported layer operation 'unzip'"),
        ({"insecure": "yes"}, "spec.insecure, which is neither true nor false"),
        ({"timeout": "soon"}, "spec.timeout: 'soon' is not a duration"),
        ({"suspend": True}, "is suspended, and no revision of it is on record"),
        ({"secretRef": {"name": "nope"}}, "Secret/apps/nope is not read here"),
    ],
)
def test_what_is_refused(checkout, spec, told):
    with pytest.raises(UsageError, match=told):
        artifact(checkout, oci(**spec))
    assert checkout.fetched == {NAME: ""}


def test_versions(checkout):
    assert artifact(checkout, oci("v1beta2")).revision == f"latest@{A}"
    with pytest.raises(UsageError, match="v1beta1, which is not supported"):
        artifact(checkout, {**oci("v1beta1"), "metadata": {"name": "web", "namespace": "apps"}})


def test_one_that_nobody_defines(checkout):
    with pytest.raises(
        UsageError, match="apps/web uses OCIRepository/apps/web, which no Kustomization of"
    ) as caught:
        artifact(checkout)
    assert f"{NAME}: ./directory" in caught.value.hint


def test_one_that_is_suspended_keeps_the_recorded_revision(checkout):
    checkout.recorded = {NAME: f"1.0.0@{B}"}
    made = artifact(checkout, oci(suspend=True, ref={"tag": "1.1.0"}))
    assert (made.revision, files(made)["a.yaml"]) == (f"1.0.0@{B}", "b")


def test_it_is_fetched_once_and_fails_once(checkout, artifacts):
    assert artifact(checkout, oci()) is artifact(checkout, oci())
    assert sum(what == "pull" for what, *_ in artifacts.asked) == 1
    artifacts.broken = True
    for _ in range(2):
        with pytest.raises(SourceError, match="it is broken"):
            artifact(checkout, oci(ref={"tag": "1.0.0"}))
    assert sum(what == "digest" for what, *_ in artifacts.asked) == 3


def test_logins_come_from_the_desired_state_first(checkout, artifacts, live):
    config = f'{{"auths": {{"ghcr.io": {{"password": "{PASSWORD}"}}}}}}'
    desired = secret(**{".dockerconfigjson": config})
    live[ResourceRef.of(desired)] = secret(**{".dockerconfigjson": "live"})
    artifact(checkout, oci(secretRef={"name": "login"}), desired)
    access = artifacts.asked[-1][1]
    assert access.docker_configs == (config,)
    assert PASSWORD not in repr(access)


def test_an_encrypted_secret_is_read_where_it_is_decrypted(checkout, artifacts, live):
    desired = {**secret(**{".dockerconfigjson": "ENC[x]"}), "sops": {}}
    live[ResourceRef.of(desired)] = secret(**{".dockerconfigjson": "{}"})
    artifact(checkout, oci(secretRef={"name": "login"}), desired)
    assert artifacts.asked[-1][1].docker_configs == ("{}",)


def test_a_service_accounts_pull_secrets(checkout, artifacts, live):
    account = {"kind": "ServiceAccount", "imagePullSecrets": [{"name": "login"}]}
    live[ResourceRef("apps", "robot", "", "ServiceAccount", "v1")] = account
    live[ResourceRef("apps", "login", "", "Secret", "v1")] = secret(**{".dockerconfigjson": "{}"})
    artifact(checkout, oci(serviceAccountName="robot"))
    assert artifacts.asked[-1][1].docker_configs == ("{}",)


def test_a_secret_that_another_kustomization_turns_out_to_make_ends_the_failure(checkout):
    wants = oci(secretRef={"name": "login"})
    with pytest.raises(UsageError, match="Secret/apps/login is not read here"):
        artifact(checkout, wants)
    artifact(checkout, wants, secret(**{".dockerconfigjson": "{}"}))
    assert checkout.fetched == {NAME: f"latest@{A}"}


def test_certificates_and_proxies(checkout, artifacts):
    certificates = secret("tls", **{"ca.crt": "CA", "tls.crt": "CERT", "tls.key": "KEY"})
    proxy = secret("proxy", address="http://proxy.example", username="me", password=PASSWORD)
    spec = {"certSecretRef": {"name": "tls"}, "proxySecretRef": {"name": "proxy"}, "timeout": "5s"}
    artifact(checkout, oci(insecure=True, **spec), certificates, proxy)
    access = artifacts.asked[-1][1]
    assert access.certificates == Certificates(named=True, ca="CA", certificate="CERT", key="KEY")
    assert access.proxy == ProxyAccess("http://proxy.example", "me", PASSWORD)
    assert (access.insecure, access.timeout, access.docker_configs) == (True, 5.0, None)
    assert not {PASSWORD, "KEY"} & set(repr(access).replace("'", " ").split())


@pytest.mark.parametrize(
    ("spec", "data", "told"),
    [
        ("secretRef", {"username": "x"}, "Secret named has no .dockerconfigjson"),
        ("certSecretRef", {"x": "y"}, "has neither ca.crt nor tls.crt and tls.key"),
        ("certSecretRef", {"tls.crt": "y"}, "has only one of tls.crt and tls.key"),
        ("proxySecretRef", {"username": "y"}, "has no address"),
    ],
)
def test_secrets_that_lack_something(checkout, spec, data, told):
    with pytest.raises(UsageError, match=told):
        artifact(checkout, oci(**{spec: {"name": "named"}}), secret("named", **data))


# --- kustodian.yaml --------------------------------------------------------------------------------------


def test_a_mapping():
    text = f"""
sources:
  Bucket/apps/web: ./vendor/web/
  OCIRepository/apps/web: oci://mirror.example/web:1.0
  OCIRepository/apps/api: oci://mirror.example:5000/api@{A}
  ExternalArtifact/apps/api: oci://mirror.example/api
"""
    assert configuration.read(text.encode()).sources == {
        "Bucket/apps/web": Directory("vendor/web"),
        "OCIRepository/apps/web": Elsewhere("oci://mirror.example/web", "1.0"),
        "OCIRepository/apps/api": Elsewhere("oci://mirror.example:5000/api", "", A),
        "ExternalArtifact/apps/api": Elsewhere("oci://mirror.example/api"),
    }
    assert configuration.read(b"").sources == configuration.read(b"sources:\n").sources == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sources: 1", "sources is not a mapping"),
        ("sources: [a]", "sources is not a mapping"),
        ("sources: {web: ./x}", "'web' under sources is not Kind/namespace/name"),
        ("sources: {HelmRelease/a/b: ./x}", "is not Kind/namespace/name"),
        ("sources: {Bucket/a/b: }", "sources.Bucket/a/b is not a path or a URL"),
        ("sources: {Bucket/a/b: ../x}", "which is outside of the repository"),
        ("sources: {Bucket/a/b: /x}", "which is outside of the repository"),
        ("sources: {Bucket/a/b: 's3://me:hunter2@x/y'}", "a URL of the kind s3:// that cannot be read"),
    ],
)
def test_mappings_that_are_refused(text, told):
    with pytest.raises(UsageError, match=told) as caught:
        configuration.read(text.encode())
    assert PASSWORD not in str(caught.value)


def test_a_source_that_is_mapped_to_a_directory(checkout):
    checkout.mapped = {"Bucket/apps/web": Directory("vendor/web"), NAME: Directory("nowhere")}
    made = artifact(checkout, kind="Bucket")
    assert files(made) == {"a.yaml": "vendored"}
    assert made.revision == f"main@sha1:{COMMIT}"
    assert checkout.fetched == {}
    with pytest.raises(UsageError, match=f"{NAME} is mapped to nowhere, which is no directory of main@"):
        artifact(checkout, oci())


def test_a_source_that_is_mapped_to_a_url(checkout, artifacts):
    checkout.mapped = {
        NAME: Elsewhere("oci://mirror.example/web", "1.0.0"),
        "Bucket/apps/web": Elsewhere("oci://mirror.example/web", "", C),
    }
    made = artifact(checkout, oci(ref={"digest": A}, insecure=True))
    assert made.revision == f"1.0.0@{B}"
    assert (artifacts.asked[-1][1].url, artifacts.asked[-1][1].insecure) == ("oci://mirror.example/web", True)
    assert artifact(checkout, kind="Bucket").revision == C
