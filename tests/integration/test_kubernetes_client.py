"""The Kubernetes client against a real API server, with a proxy in between where something must go wrong."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from runner.clients.kubernetes import KubernetesCluster, connect, transport
from runner.clients.kubernetes.discovery import resources
from runner.errors import ClusterError, LockLost, NotServed, Refused, UsageError
from runner.model import ResourceRef
from runner.ports import WatchEventType
from tests.cluster import ControlPlane, wait_until
from tests.integration.faults import Fault, FaultyProxy, Seen, status, write_kubeconfig
from tests.integration.relay import Relay

pytestmark = pytest.mark.cluster
pytest_plugins = ["tests.cluster.fixture"]

UNAVAILABLE = {"Content-Type": "text/html"}, b"<html>upstream says secret=hunter2</html>"


def config_map(namespace: str, name: str = "app", **data: str) -> dict[str, object]:
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def ref(namespace: str, name: str = "app", kind: str = "ConfigMap") -> ResourceRef:
    return ResourceRef(namespace, name, "", kind, "v1")


def writes(request: Seen) -> bool:
    return request.method in {"PATCH", "POST", "PUT", "DELETE"}


@pytest.fixture
def cluster(control_plane: ControlPlane) -> Iterator[KubernetesCluster]:
    with closing(connect(kubeconfig=str(control_plane.kubeconfig), context=None)) as connected:
        yield connected


@pytest.fixture
def namespace(cluster: KubernetesCluster, request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own."""
    name = re.sub("[^a-z0-9]+", "-", f"client {request.node.name.removeprefix('test_')}")[:50]
    name = f"{name.rstrip('-')}-{uuid.uuid4().hex[:6]}"
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    given = ResourceRef(name, "kube-root-ca.crt", "", "ConfigMap", "v1")
    wait_until(lambda: cluster.get(given), f"{given}, which every namespace is given")
    return name


@pytest.fixture
def proxy(control_plane: ControlPlane) -> Iterator[FaultyProxy]:
    with FaultyProxy(control_plane.kubeconfig) as running:
        yield running


@pytest.fixture
def proxied(proxy: FaultyProxy, tmp_path: Path) -> Iterator[KubernetesCluster]:
    with closing(connect(kubeconfig=str(proxy.kubeconfig(tmp_path)), context=None)) as connected:
        yield connected


def user(
    control_plane: ControlPlane, cluster: KubernetesCluster, namespace: str, *verbs: str
) -> KubernetesCluster:
    """Somebody who may do this with ConfigMaps of one namespace, and nothing else."""
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": list(verbs)}]
    meta = {"name": "some", "namespace": namespace}
    group = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": meta}
    cluster.apply({**role, "rules": rules})
    subject = {"kind": "User", "name": f"{namespace}-user", "apiGroup": group}
    reference = {"kind": "Role", "name": "some", "apiGroup": group}
    cluster.apply({**role, "kind": "RoleBinding", "subjects": [subject], "roleRef": reference})
    return connect(kubeconfig=str(control_plane.user_kubeconfig(f"{namespace}-user")), context=None)


# --- what is served ---


def test_version(cluster):
    assert cluster.version().startswith("v1.")


def test_discovery_takes_two_requests(cluster):
    deployment = cluster.api("apps", "Deployment", "v1")
    assert (deployment.plural, deployment.namespaced, deployment.version) == ("deployments", True, "v1")
    assert cluster.api("", "Namespace").namespaced is False
    assert cluster.api("apps", "Deployment", "v1beta1").version == "v1", "the preferred version instead"
    assert cluster.api("apps", "Nonsense") is None
    assert cluster.requests == {"GET": 2}


@pytest.mark.parametrize(
    "fault",
    [Fault(headers={"Accept": "application/json"}), status(406, "NotAcceptable", "only JSON")],
    ids=["an older server", "a stricter server"],
)
def test_discovery_falls_back_to_the_older_protocol(proxy, proxied, cluster, fault):
    proxy.on(lambda r: "apidiscovery" in r.headers["Accept"], fault, times=2)
    for kind in (
        ("apps", "Deployment", "v1"),
        ("", "Pod", "v1"),
        ("autoscaling", "HorizontalPodAutoscaler", "v1"),
    ):
        assert proxied.api(*kind) == cluster.api(*kind)
    assert proxied.api("autoscaling", "HorizontalPodAutoscaler") == cluster.api(
        "autoscaling", "HorizontalPodAutoscaler"
    )


def test_a_group_whose_server_is_away_takes_only_itself_with_it(proxy, proxied):
    proxy.on(
        lambda r: "apidiscovery" in r.headers["Accept"],
        Fault(headers={"Accept": "application/json"}),
        times=2,
    )
    proxy.on(lambda r: r.path.startswith("/apis/apps/"), status(403, "Forbidden", "no"), times=99)
    assert proxied.api("", "Pod") is not None
    with pytest.raises(NotServed) as caught:
        proxied.get(ResourceRef("default", "x", "apps", "Deployment", "v1"))
    assert "apps does not answer" in caught.value.hint


def test_definitions_are_found_after_rediscovery(cluster, namespace):
    assert cluster.api("client.example.com", "Widget") is None
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    versions = [{"name": "v1", "served": True, "storage": True, "schema": schema}]
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.client.example.com"},
        "spec": {"group": "client.example.com", "names": names, "scope": "Namespaced", "versions": versions},
    }
    cluster.apply(definition)
    widget = {
        "apiVersion": "client.example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w", "namespace": namespace},
    }
    with pytest.raises(
        NotServed, match=r'Widget/.*/w: no matches for kind "Widget" in version "client.example.com/v1"'
    ):
        cluster.apply(widget)

    def served() -> bool:
        cluster.rediscover()
        return cluster.api("client.example.com", "Widget") is not None

    wait_until(served, "the kind is served")
    assert cluster.apply(widget).manifest["metadata"]["uid"]
    cluster.delete(ResourceRef.of(definition), uid=cluster.get(ResourceRef.of(definition))["metadata"]["uid"])


# --- objects ---


@pytest.mark.parametrize("char", ["\u0085", "\u2028", "\u2029"])
def test_what_ends_a_line_in_yaml_alone_is_applied_as_it_is(cluster, namespace, char):
    text = f"before {char} after {char}"
    assert cluster.apply(config_map(namespace, text=text)).manifest["data"] == {"text": text}


def test_apply_reads_back_and_belongs_to_flux(cluster, namespace):
    applied = cluster.apply(config_map(namespace, color="red")).manifest
    assert cluster.get(ref(namespace)) == applied
    assert [(f["manager"], f["operation"]) for f in applied["metadata"]["managedFields"]] == [
        ("kustomize-controller", "Apply")
    ]


def test_a_dry_run_changes_nothing(cluster, namespace):
    tried = cluster.apply(config_map(namespace, color="red"), dry_run=True)
    assert (tried.manifest["data"], tried.created) == ({"color": "red"}, True)
    assert cluster.get(ref(namespace)) is None
    assert cluster.requests["DRYRUN"] == 1
    assert cluster.requests["PATCH"] == 1, "the namespace"


def test_server_warnings_come_along(cluster, namespace):
    spec = {
        "containers": [{"name": "app", "image": "app"}],
        "nodeSelector": {"beta.kubernetes.io/os": "linux"},
    }
    meta = {"name": "app", "namespace": namespace}
    applied = cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}, dry_run=True)
    assert len(applied.warnings) == 1
    assert applied.warnings[0].startswith("spec.nodeSelector[beta.kubernetes.io/os]: deprecated")


def test_an_invalid_object_is_named_first(cluster, namespace):
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": []}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    meta = {"name": "app", "namespace": namespace}
    with pytest.raises(Refused) as caught:
        cluster.apply(
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}, dry_run=True
        )
    assert caught.value.message.startswith(
        f"Deployment/{namespace}/app dry-run failed (Invalid): Deployment.apps"
    )
    assert (caught.value.code, caught.value.reason) == (422, "Invalid")


def test_a_missing_namespace(cluster):
    with pytest.raises(Refused) as caught:
        cluster.apply(config_map("nowhere"), dry_run=True)
    assert caught.value.message == 'ConfigMap/nowhere/app not found: namespaces "nowhere" not found'
    with pytest.raises(Refused, match=r"^ConfigMap/nowhere/app apply failed \(NotFound\): namespaces"):
        cluster.apply(config_map("nowhere"))


def test_no_namespace_for_a_namespaced_kind(cluster):
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app"}}
    with pytest.raises(Refused, match=r"^ConfigMap/app namespace not specified: "):
        cluster.apply(manifest, dry_run=True)
    assert cluster.get(ref("")) is None


def test_a_namespace_for_a_cluster_scoped_kind_is_ignored(cluster, namespace):
    manifest = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace, "namespace": "other"},
    }
    assert "namespace" not in cluster.apply(manifest).manifest["metadata"]
    assert cluster.get(ResourceRef("other", namespace, "", "Namespace", "v1")) is not None


@pytest.mark.parametrize("name", ["..", ".", "a/status", "a%2Fstatus", ""])
def test_names_never_climb_out_of_their_path(cluster, namespace, name):
    assert cluster.get(ref(namespace, name)) is None
    with pytest.raises(Refused, match="cannot stand in a path"):
        cluster.patch(ref(namespace, name), [])


def test_patch(cluster, namespace):
    cluster.apply(config_map(namespace, color="red"))
    patched = cluster.patch(ref(namespace), [{"op": "replace", "path": "/data/color", "value": "blue"}])
    assert patched["data"] == {"color": "blue"}
    with pytest.raises(Refused, match=r"^ConfigMap/.*/app patch failed \(Invalid\)"):
        cluster.patch(ref(namespace), [{"op": "test", "path": "/data/color", "value": "red"}])


def test_create_replace_and_their_conflicts(cluster, namespace):
    created = cluster.create(config_map(namespace, color="red"))
    with pytest.raises(Refused) as caught:
        cluster.create(config_map(namespace))
    assert (caught.value.code, caught.value.reason) == (409, "AlreadyExists")
    replaced = cluster.replace({**created, "data": {"color": "blue"}})
    assert replaced["data"] == {"color": "blue"}
    with pytest.raises(Refused) as caught:
        cluster.replace({**created, "data": {"color": "green"}})
    assert (caught.value.code, caught.value.reason) == (409, "Conflict")


def test_delete_only_the_object_that_is_meant(cluster, namespace):
    uid = cluster.create(config_map(namespace))["metadata"]["uid"]
    for other in ("", "00000000-0000-0000-0000-000000000000"):
        with pytest.raises(Refused, match=r"delete failed \(Conflict\)"):
            cluster.delete(ref(namespace), uid=other)
    cluster.delete(ref(namespace), uid=uid)
    assert cluster.get(ref(namespace)) is None
    cluster.delete(ref(namespace), uid=uid)


def test_a_list_is_complete_and_its_items_are_whole(cluster, namespace):
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: cluster.create(config_map(namespace, f"cm-{n}")), range(1_050)))
    before = cluster.requests.get("LIST", 0)
    listing = cluster.list("", "ConfigMap", namespace=namespace)
    assert cluster.requests["LIST"] - before == 3
    names = {item["metadata"]["name"] for item in listing.items}
    assert {f"cm-{n}" for n in range(1_050)} <= names
    assert {ResourceRef.of(item).kind for item in listing.items} == {"ConfigMap"}
    assert int(listing.resource_version) > 0
    metadata = cluster.list("", "ConfigMap", namespace=namespace, metadata_only=True)
    assert {item["metadata"]["name"] for item in metadata.items} == names
    assert {(item["apiVersion"], item["kind"], "data" in item) for item in metadata.items} == {
        ("v1", "ConfigMap", False)
    }
    before = cluster.requests["LIST"]
    with pytest.raises(ClusterError, match="there are more than 700") as caught:
        cluster.list("", "ConfigMap", namespace=namespace, metadata_only=True, most=700)
    assert caught.value.reason == "TooMany"
    assert cluster.requests["LIST"] - before == 1, "the server says how many are left"


def test_a_list_is_of_what_the_fields_choose(cluster, namespace):
    for name in ("one", "two"):
        cluster.apply(config_map(namespace, name))

    found = cluster.list("", "ConfigMap", namespace=namespace, fields="metadata.name=two").items

    assert [item["metadata"]["name"] for item in found] == ["two"]


def test_the_log_of_a_container(proxy, proxied, namespace):
    pod = ref(namespace, "web-1", "Pod")
    proxy.on(lambda r: r.path.endswith("/pods/web-1/log"), Fault(answer=(200, {}, "one\ntwö\xff".encode())))

    assert proxied.logs(pod, "app", previous=True, lines=20) == "one\ntwö\xff"

    asked = {"container": "app", "tailLines": "20", "limitBytes": "65536", "previous": "true"}
    assert proxy.seen[-1].query == asked


def test_a_log_that_is_cut_ends_with_a_whole_line(proxy, proxied, namespace):
    body = b"x" * 65_000 + b"\n" + b"y" * 535
    proxy.on(lambda r: r.path.endswith("/log"), Fault(answer=(200, {}, body)))

    log = proxied.logs(ref(namespace, "web-1", "Pod"), "app", previous=False, lines=20)

    assert log == "x" * 65_000


def test_a_log_that_is_not_there_is_an_error_after_one_attempt(proxy, proxied, namespace):
    proxy.on(lambda r: r.path.endswith("/log"), status(503, "ServiceUnavailable", "no kubelet"), times=9)

    with pytest.raises(ClusterError, match=r"Pod/.*/web-1 log of app failed .*no kubelet"):
        proxied.logs(ref(namespace, "web-1", "Pod"), "app", previous=False, lines=20)

    assert sum(r.path.endswith("/log") for r in proxy.seen) == 1


def test_a_list_that_expires_is_read_anew(proxy, proxied, cluster, namespace):
    proxy.on(lambda r: "continue" in r.query, status(410, "Expired", "too old"), times=2)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: cluster.create(config_map(namespace, f"cm-{n}")), range(510)))
    assert len(proxied.list("", "ConfigMap", namespace=namespace).items) >= 510
    assert proxied.requests["LIST"] == 5, "twice two chunks, then one of everything"


def test_a_selector(cluster, namespace):
    labelled = config_map(namespace, "blue")
    labelled["metadata"] = {**labelled["metadata"], "labels": {"color": "blue"}}
    cluster.create(labelled)
    cluster.create(config_map(namespace, "red"))
    items = cluster.list("", "ConfigMap", namespace=namespace, selector="color=blue").items
    assert [item["metadata"]["name"] for item in items] == ["blue"]


# --- secrets ---


@pytest.mark.parametrize("key", ["data", "stringData"])
def test_no_message_repeats_a_secret(cluster, namespace, key):
    meta = {"name": "s", "namespace": namespace}
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, key: {"password": "hunter2 is it"}}
    manifest["type"] = "kubernetes.io/tls" if key == "stringData" else "Opaque"
    manifest["immutable"] = "hunter2 is it"  # the server quotes what it cannot take
    with pytest.raises(Refused) as caught:
        cluster.apply(manifest, dry_run=True)
    assert caught.value.message.startswith(f"Secret/{namespace}/s dry-run failed")
    assert "hunter2" not in caught.value.message


def test_no_message_repeats_what_a_secret_is_patched_with(cluster, namespace):
    meta = {"name": "s", "namespace": namespace}
    cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta})
    with pytest.raises(Refused) as caught:
        cluster.patch(
            ref(namespace, "s", "Secret"), [{"op": "add", "path": "/type", "value": "hunter2 is it"}]
        )
    assert "hunter2" not in caught.value.message


# --- permissions and credentials ---


def test_forbidden_is_told_in_the_servers_words(control_plane, cluster, namespace):
    nobody = user(control_plane, cluster, namespace, "get")
    with pytest.raises(Refused) as caught:
        nobody.list("", "ConfigMap", namespace=namespace)
    assert caught.value.message.startswith(
        f"ConfigMap list failed in namespace {namespace} (Forbidden): configmaps is"
    )
    assert (caught.value.code, caught.value.reason) == (403, "Forbidden")


def test_wrong_credentials(control_plane, tmp_path):
    config = write_kubeconfig(tmp_path / "config", control_plane.server, token="hunter2")
    document = json.loads(config.read_text())
    document["clusters"][0]["cluster"]["insecure-skip-tls-verify"] = True
    config.write_text(json.dumps(document))
    with pytest.raises(ClusterError) as caught:
        connect(kubeconfig=str(config), context=None).api("", "Pod")
    assert caught.value.message == f"credentials were refused (401) by {control_plane.server}"
    assert caught.value.code == 401
    assert caught.value.hint


def test_an_untrusted_server_is_no_reason_to_wait(control_plane, tmp_path):
    config = write_kubeconfig(tmp_path / "config", control_plane.server)
    started = time.monotonic()
    with pytest.raises(
        ClusterError, match=r"is not trusted: .*(self-signed certificate|unable to get local issuer)"
    ):
        connect(kubeconfig=str(config), context=None).version()
    assert time.monotonic() - started < 3


def test_a_server_that_hangs_up_in_the_handshake_is_trusted_and_asked_again(
    control_plane, cluster, namespace, tmp_path
):
    cluster.apply(config_map(namespace, color="red"))
    with Relay(control_plane.server) as relay:
        config = tmp_path / "config"
        config.write_text(relay.kubeconfig(control_plane.kubeconfig))
        with closing(connect(kubeconfig=str(config), context=None)) as relayed:
            relay.hang_up(2)
            assert relayed.get(ref(namespace))["data"] == {"color": "red"}
        with closing(connect(kubeconfig=str(config), context=None)) as relayed:
            relay.hang_up(1_000)
            with pytest.raises(ClusterError, match=r"127\.0\.0\.1:\d+ cut the connection$"):
                relayed.impatient().version()


def test_a_server_that_speaks_no_tls_is_told_in_the_librarys_words(proxy, tmp_path):
    config = write_kubeconfig(tmp_path / "config", proxy.url.replace("http", "https"))
    with pytest.raises(ClusterError, match=r"is not trusted: \[SSL.*wrong version number"):
        connect(kubeconfig=str(config), context=None).version()


def test_a_plugins_token_is_renewed_when_it_is_refused(proxy, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text("old\nnew\n")
    plugin = tmp_path / "plugin.py"
    plugin.write_text(
        f"import json, pathlib\npath = pathlib.Path({str(tokens)!r})\n"
        "first, *rest = path.read_text().split()\n"
        "path.write_text(' '.join(rest or [first]))\n"
        "print(json.dumps({'apiVersion': 'client.authentication.k8s.io/v1', 'kind': 'ExecCredential', "
        "'status': {'token': first}}))\n"
    )
    command = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": [str(plugin)],
    }
    config = write_kubeconfig(tmp_path / "config", proxy.url, exec=command)
    proxy.on(
        lambda r: r.headers.get("Authorization") == "Bearer old", status(401, "Unauthorized", "no"), times=9
    )
    proxy.on(lambda r: True, Fault(answer=(200, {}, b'{"gitVersion": "v1"}')), times=9)
    assert connect(kubeconfig=str(config), context=None).version() == "v1"
    assert [r.headers.get("Authorization") for r in proxy.seen] == ["Bearer old", "Bearer new"]


def test_a_plugin_that_fails_is_named(tmp_path):
    script = "import sys; sys.exit('no session for ' + 'x' * 60)"
    command = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": ["-c", script],
    }
    config = write_kubeconfig(tmp_path / "config", "https://127.0.0.1:1", exec=command)
    with pytest.raises(UsageError) as caught:
        connect(kubeconfig=str(config), context=None)
    assert f"credential plugin {sys.executable} failed: exec: process returned 1. no session for …" in str(
        caught.value
    )


def test_a_server_may_be_behind_a_path(proxy, tmp_path, namespace):
    """As gateways in front of many clusters have it."""
    proxy.prefix = "/k8s/clusters/one"
    config = write_kubeconfig(tmp_path / "config", f"{proxy.url}/k8s/clusters/one/")
    with closing(connect(kubeconfig=str(config), context=None)) as connected:
        made = connected.apply(config_map(namespace, "behind"))
        assert connected.get(ResourceRef.of(made.manifest)) == made.manifest
    assert all(asked.startswith("/k8s/clusters/one/api") for asked in proxy.asked)


def test_a_proxy_on_the_way_is_told_the_whole_address(proxy, tmp_path, namespace):
    config = write_kubeconfig(tmp_path / "config", "http://cluster.example", proxy=proxy.url)
    with closing(connect(kubeconfig=str(config), context=None)) as connected:
        made = connected.apply(config_map(namespace, "proxied"))
        assert connected.get(ResourceRef.of(made.manifest)) == made.manifest
    assert all(asked.startswith("http://cluster.example/api") for asked in proxy.asked)


def test_acting_as_somebody_else(control_plane, namespace):
    acting = connect(
        kubeconfig=str(control_plane.kubeconfig),
        context=None,
        impersonate="jane",
        groups=["a", "system:masters"],
    )
    manifest = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "SelfSubjectReview",
        "metadata": {"name": "me"},
    }
    told = acting.create(manifest)["status"]["userInfo"]
    assert told["username"] == "jane"
    assert set(told["groups"]) >= {"a", "system:masters"}


def test_acting_as_an_account_is_neither_the_run_nor_who_the_kubeconfig_acts_as(control_plane, namespace):
    """Also in what is made of it: where writes are fenced, and where nothing is tried again."""
    connected = connect(
        kubeconfig=str(control_plane.kubeconfig),
        context=None,
        impersonate="jane",
        groups=["a", "system:masters"],
    )
    account = f"system:serviceaccount:{namespace}:robot"
    acting = connected.acting_as(account).fenced(lambda: 30.0).impatient()
    manifest = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "SelfSubjectReview",
        "metadata": {"name": "me"},
    }
    told = acting.create(manifest)["status"]["userInfo"]
    assert told["username"] == account
    assert sorted(told["groups"]) == [
        "system:authenticated",
        "system:serviceaccounts",
        f"system:serviceaccounts:{namespace}",
    ]
    ref = ResourceRef(namespace, "any", "", "ConfigMap", "v1")
    for asked in (
        lambda: acting.get(ref),
        lambda: acting.list("", "ConfigMap", namespace=namespace),
        lambda: acting.apply(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "any", "namespace": namespace}}
        ),
        lambda: acting.delete(ref, uid="1"),
        lambda: acting.patch(ref, []),
        lambda: acting.watch("", "ConfigMap", resource_version="", namespace=namespace).__enter__(),
    ):
        with pytest.raises(Refused) as caught:
            asked()
        assert f'User "{account}" cannot' in caught.value.message
        assert caught.value.hint == f"grant ServiceAccount/{namespace}/robot this permission"
    assert connected.get(ref) is None, "who asked before asks as before"


# --- kubeconfig ---


def test_several_files_as_kubectl_reads_them(control_plane, cluster, tmp_path, monkeypatch):
    first = write_kubeconfig(tmp_path / "first", "http://127.0.0.1:1")
    document = json.loads(first.read_text())
    document["current-context"] = "kustodian-test"
    first.write_text(json.dumps(document))
    second = write_kubeconfig(tmp_path / "second", "http://127.0.0.1:2")
    paths = [first, tmp_path / "missing", second, control_plane.kubeconfig]
    monkeypatch.setenv("KUBECONFIG", ":".join(map(str, paths)))
    connected = connect(kubeconfig=None, context=None)
    assert (connected.context, connected.server) == ("kustodian-test", control_plane.server)
    assert connected.version() == cluster.version()
    assert connect(kubeconfig=None, context="test").server == "http://127.0.0.1:1", (
        "the first of a name counts"
    )


@pytest.mark.parametrize(
    ("content", "context", "message"),
    [
        (None, None, "there is no such kubeconfig file"),
        ("a: [hunter2", None, "line 1: is no valid YAML"),
        ("hunter2", None, "is no kubeconfig"),
        ("{}", None, "no current-context"),
        ({}, "other", "no context other"),
        ({"clusters": []}, None, "context test: cluster 'test' has no server"),
        ({"users": []}, None, "context test: no user test"),
        (
            {"users": [{"name": "test", "user": {"client-certificate": "/no/such"}}]},
            None,
            "File does not exist: /no/such",
        ),
        ({"users": [{"name": "test", "user": {"client-key-data": "hunter2"}}]}, None, "cannot be used"),
    ],
)
def test_mistakes_in_a_kubeconfig_are_named(tmp_path, content, context, message):
    config = write_kubeconfig(tmp_path / "config", "https://127.0.0.1:1")
    if isinstance(content, dict):
        content = json.dumps(json.loads(config.read_text()) | content)
    config.unlink()
    if content is not None:
        config.write_text(content)
    with pytest.raises(UsageError) as caught:
        connect(kubeconfig=str(config), context=context)
    assert str(config) in str(caught.value)
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_no_kubeconfig_at_all(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(UsageError, match=r"^no kubeconfig: ") as caught:
        connect(kubeconfig=None, context=None)
    assert "KUBECONFIG" in caught.value.hint
    with pytest.raises(UsageError, match=r"^context staging: there is no kubeconfig"):
        connect(kubeconfig=None, context="staging")
    monkeypatch.setenv("KUBECONFIG", "/no/such:/file/here")
    with pytest.raises(UsageError, match="/no/such, /file/here"):
        connect(kubeconfig=None, context=None)


def test_credentials_in_an_address_are_not_shown(tmp_path):
    config = write_kubeconfig(tmp_path / "config", "https://jane:hunter2@127.0.0.1:1/k8s")
    assert connect(kubeconfig=str(config), context=None).server == "https://127.0.0.1:1/k8s"


# --- failures on the way ---


def test_a_server_that_is_not_there_is_told_quickly(tmp_path):
    config = write_kubeconfig(tmp_path / "config", "http://127.0.0.1:1")
    started = time.monotonic()
    with pytest.raises(ClusterError) as caught:
        connect(kubeconfig=str(config), context=None).api("", "Pod")
    assert caught.value.message == "server http://127.0.0.1:1 cannot be reached: connection refused"
    assert caught.value.code == 0
    assert time.monotonic() - started < 6


def test_a_loopback_address_inside_a_container_gets_a_hint(tmp_path, monkeypatch):
    config = write_kubeconfig(tmp_path / "config", "http://localhost:1")
    for inside in (True, False):
        monkeypatch.setattr(transport, "CONTAINER_MARK", tmp_path / ("config" if inside else "missing"))
        with pytest.raises(ClusterError) as caught:
            connect(kubeconfig=str(config), context=None).impatient().version()
        assert ("is the container itself" in caught.value.hint) is inside


def test_a_server_that_swallows_connections_is_told_quickly(tmp_path):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)  # noqa: FBT003
            one.connect_ex(full.getsockname())
        config = write_kubeconfig(tmp_path / "config", f"http://127.0.0.1:{full.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(ClusterError, match=r"cannot be reached: no answer to the connection attempt"):
            connect(kubeconfig=str(config), context=None).version()
        assert time.monotonic() - started < 17
        for one in waiting:
            one.close()


@pytest.mark.parametrize(
    "fault",
    [
        status(500, "InternalError", "etcdserver: leader changed"),
        status(503, "ServiceUnavailable", "starting"),
        Fault(answer=(502, *UNAVAILABLE)),
        Fault(lose=True),
        Fault(cut_after=20),
    ],
    ids=["leader changed", "503", "a proxy's 502", "no answer", "half an answer"],
)
def test_reads_and_applies_are_repeated(proxy, proxied, namespace, fault):
    proxied.api("", "Pod")
    proxy.on(lambda r: r.method == "GET", fault)
    assert proxied.get(ref(namespace)) is None
    proxy.on(writes, fault)
    assert proxied.apply(config_map(namespace, color="red")).manifest["data"] == {"color": "red"}
    proxy.on(writes, fault)
    proxied.delete(ref(namespace), uid=proxied.get(ref(namespace))["metadata"]["uid"])


@pytest.mark.parametrize(
    "fault",
    [
        status(429, "TooManyRequests", "busy", **{"Retry-After": "1"}),
        status(
            500, "InternalError", 'failed calling webhook "x": Post "https://x": dial tcp: connection refused'
        ),
        status(500, "InternalError", "conversion webhook for v1, Kind=X failed: Post: EOF"),
        status(409, "Conflict", 'Operation cannot be fulfilled on resourcequotas "q": modified'),
    ],
    ids=["429", "webhook", "conversion", "quota"],
)
def test_every_write_is_repeated_when_it_was_turned_away(proxy, proxied, namespace, fault):
    proxied.api("", "Pod")
    for write in (
        lambda: proxied.create(config_map(namespace, color="red")),
        lambda: proxied.patch(ref(namespace), [{"op": "add", "path": "/data/shape", "value": "round"}]),
        lambda: proxied.replace(config_map(namespace, color="blue")),
    ):
        proxy.on(writes, fault)
        assert write()["metadata"]["name"] == "app"


def test_a_write_that_may_have_happened_is_not_repeated(proxy, proxied, namespace):
    proxied.api("", "Pod")
    proxy.on(writes, Fault(lose=True))
    with pytest.raises(ClusterError) as caught:
        proxied.create(config_map(namespace))
    assert caught.value.code == 0
    assert (
        caught.value.message
        == f"ConfigMap/{namespace}/app create failed: server {proxy.url} cut the connection"
    )
    assert proxied.requests["POST"] == 1
    assert proxied.get(ref(namespace)) is not None


def test_a_page_of_a_proxy_is_never_repeated(proxy, proxied, namespace):
    proxied.api("", "Pod")
    proxy.on(writes, Fault(answer=(418, *UNAVAILABLE)))
    with pytest.raises(Refused) as caught:
        proxied.apply(config_map(namespace))
    assert (
        caught.value.message
        == f"ConfigMap/{namespace}/app apply failed: the server answered 418 I'm a Teapot"
    )


def test_a_long_message_is_cut(proxy, proxied, namespace):
    proxied.api("", "Pod")
    proxy.on(writes, status(422, "Invalid", "x" * 100_000))
    with pytest.raises(Refused) as caught:
        proxied.apply(config_map(namespace))
    assert 2_000 < len(caught.value.message) < 2_200


def test_a_busy_server_holds_every_thread(proxy, proxied, namespace):
    proxied.api("", "Pod")
    proxy.on(lambda r: r.method == "GET", status(429, "TooManyRequests", "busy", **{"Retry-After": "2"}))
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(proxied.get, ref(namespace))
        proxy.wait_until_seen(lambda r: r.path.endswith("/configmaps/app"))
        wait_until(lambda: proxied._transport._attempts.gate._opens_at, "the gate is closed")  # noqa: SLF001
        started = time.monotonic()
        others = [pool.submit(proxied.get, ref(namespace, f"other-{n}")) for n in range(8)]
        assert [other.result() for other in others] == [None] * 8
        assert time.monotonic() - started > 1.5
        assert first.result() is None
    assert proxied.requests["GET"] == 2 + 2 + 8, "discovery, one that was turned away, and eight that waited"


# --- the fence and the interrupt ---


def test_writes_ask_the_fence_each_time_and_dry_runs_never(proxy, proxied, namespace):
    asked: list[str] = []

    def fence() -> float:
        if len(asked) == 3:
            raise LockLost("somebody else has the lock")
        asked.append("asked")
        return 5.0

    fenced = proxied.fenced(fence)
    fenced.apply(config_map(namespace), dry_run=True)
    fenced.get(ref(namespace))
    assert not asked
    proxy.on(writes, status(503, "ServiceUnavailable", "busy"))
    fenced.apply(config_map(namespace))
    assert len(asked) == 2, "once for each attempt"
    assert proxy.seen[-1].query["timeout"] == "5000ms"
    fenced.patch(ref(namespace), [])
    with pytest.raises(LockLost):
        fenced.create(config_map(namespace, "other"))
    with pytest.raises(LockLost):
        fenced.delete(ref(namespace), uid="x")
    assert not [r for r in proxy.seen if r.method in {"POST", "DELETE"}]


def test_a_fenced_write_does_not_outlast_its_fence(proxy, proxied, namespace):
    proxied.api("", "Pod")
    release = threading.Event()
    proxy.on(writes, Fault(hold=release, answer=(500, {}, b"")), times=9)
    started = time.monotonic()
    with pytest.raises(ClusterError, match="did not answer in time"):
        proxied.fenced(lambda: 0.5).create(config_map(namespace))
    assert time.monotonic() - started < 1.5
    release.set()


def test_cancelling_ends_waits_and_watches_but_not_writes(proxy, proxied, namespace):
    version = proxied.list("", "ConfigMap").resource_version
    proxy.on(
        lambda r: r.path.endswith("/app"),
        status(503, "ServiceUnavailable", "", **{"Retry-After": "20"}),
        times=9,
    )

    def follow() -> list[object]:
        with proxied.watch("", "ConfigMap", resource_version=version, namespace=namespace) as events:
            return [
                e
                for e in events
                if e.type is WatchEventType.ADDED and e.manifest["metadata"]["name"] == "never"
            ]

    with ThreadPoolExecutor(2) as pool:
        watching = pool.submit(follow)
        proxy.wait_until_seen(lambda r: r.watches)
        reading = pool.submit(proxied.get, ref(namespace))
        proxy.wait_until_seen(lambda r: r.path.endswith("/app"))
        started = time.monotonic()
        proxied.cancel()
        proxied.cancel()
        with pytest.raises(ClusterError, match=r"cancelled|503"):  # by the order of the two
            reading.result()
        assert watching.result() == []
        assert time.monotonic() - started < 0.5
    proxy.clear()
    assert proxied.apply(config_map(namespace)).manifest["metadata"]["uid"], "such as giving back a lock"
    with (
        pytest.raises(ClusterError, match="cancelled"),
        proxied.watch("", "ConfigMap", resource_version=version),
    ):
        pass


def test_a_silent_server_does_not_keep_an_interrupted_run(control_plane, namespace, tmp_path):
    config = tmp_path / "config"
    with Relay(control_plane.server) as relay, ThreadPoolExecutor(2) as pool:
        config.write_text(relay.kubeconfig(control_plane.kubeconfig))
        with closing(connect(kubeconfig=str(config), context=None)) as relayed:
            relayed.apply(config_map(namespace))
            relay.go_deaf()
            before = sum(relayed.requests.values())
            calls = [
                pool.submit(relayed.get, ref(namespace)),
                pool.submit(relayed.fenced(lambda: 30.0).apply, config_map(namespace, color="red")),
            ]
            wait_until(lambda: sum(relayed.requests.values()) == before + 2, "both are under way")
            started = time.monotonic()
            relayed.cancel()
            for each in calls:
                with pytest.raises(ClusterError, match=r"cut the connection|did not answer"):
                    each.result()
            assert time.monotonic() - started < 6, "the time that a run has to tell what it did"
            with pytest.raises(ClusterError, match="cancelled"):
                relayed.get(ref(namespace))


# --- watch ---


def test_a_watch_delivers(cluster, namespace):
    version = cluster.list("", "ConfigMap", namespace=namespace).resource_version
    with cluster.watch(
        "", "ConfigMap", resource_version=version, namespace=namespace, selector="a=b"
    ) as events:
        manifest = config_map(namespace, "watched")
        manifest["metadata"] = {**manifest["metadata"], "labels": {"a": "b"}}
        created = cluster.apply(manifest).manifest
        cluster.apply(manifest | {"data": {"x": "y" * 200_000}})
        cluster.delete(ref(namespace, "watched"), uid=created["metadata"]["uid"])
        seen = [next(events) for _ in range(3)]
    assert [event.type for event in seen] == [
        WatchEventType.ADDED,
        WatchEventType.MODIFIED,
        WatchEventType.DELETED,
    ]
    assert seen[0].manifest == created
    assert len(seen[1].manifest["data"]["x"]) == 200_000


@pytest.mark.parametrize("tls", [True, False], ids=["TLS", "plain"])
def test_leaving_a_watch_wakes_the_thread_that_reads_it(cluster, proxied, namespace, tls):
    used = cluster if tls else proxied
    version = used.list("", "ConfigMap", namespace=namespace).resource_version
    context = used.watch("", "ConfigMap", resource_version=version, namespace=namespace)
    events = context.__enter__()
    cluster.apply(config_map(namespace))
    assert next(events).type is WatchEventType.ADDED
    with ThreadPoolExecutor(1) as pool:
        blocked = pool.submit(list, events)
        with pytest.raises(TimeoutError):
            blocked.result(timeout=0.2)
        started = time.monotonic()
        context.__exit__(None, None, None)
        assert blocked.result(timeout=5) == []
        assert time.monotonic() - started < 0.5


def test_a_cut_in_the_middle_of_a_line_ends_a_watch(proxy, proxied, cluster, namespace):
    version = cluster.list("", "ConfigMap", namespace=namespace).resource_version
    proxy.on(lambda r: r.watches, Fault(cut_after=3_000))
    with proxied.watch("", "ConfigMap", resource_version=version, namespace=namespace) as events:
        cluster.apply(config_map(namespace, "small"))
        cluster.apply(config_map(namespace, "big", text="x" * 10_000))
        assert [e.manifest["metadata"]["name"] for e in events] == ["small"]


def test_an_old_version_is_refused(proxy, proxied, cluster, namespace):
    error = {
        "type": "ERROR",
        "object": json.loads(status(410, "Expired", "too old resource version").answer[2]),
    }
    proxy.on(lambda r: r.watches, Fault(first=json.dumps(error).encode() + b"\n"))
    with (
        pytest.raises(Refused) as caught,
        proxied.watch("", "ConfigMap", resource_version="1", namespace=namespace) as events,
    ):
        list(events)
    assert (caught.value.code, caught.value.reason) == (410, "Expired")


def test_a_line_that_is_no_event_is_an_error(proxy, proxied, namespace):
    proxy.on(lambda r: r.watches, Fault(first=b'{"type": "ADD\n'))
    version = proxied.list("", "ConfigMap", namespace=namespace).resource_version
    with (
        pytest.raises(ClusterError) as caught,
        proxied.watch("", "ConfigMap", resource_version=version, namespace=namespace) as events,
    ):
        list(events)
    assert (caught.value.code, caught.value.reason) == (0, "Garbled")


# --- the price of an import ---


def test_the_heavy_package_is_loaded_late():
    code = "import runner.clients.kubernetes, sys; sys.exit('kubernetes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("listed", [["boxes", "boxes/status"], ["boxes/status", "boxes"]])
def test_the_older_discovery_tells_who_has_a_status_too(listed: list[str]) -> None:
    entries = [{"name": name, "kind": "Box", "namespaced": True, "verbs": ["get"]} for name in listed]
    entries.append({"name": "bags", "kind": "Bag", "namespaced": True, "verbs": ["get"]})
    found = resources("example.com", "v1", {"resources": entries})
    assert {api.kind: api.status for api in found} == {"Box": True, "Bag": False}
