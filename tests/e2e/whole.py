"""A fleet with every source and secret that a Kustomization may point at, and the servers behind it."""

from __future__ import annotations

import json
import ssl
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from runner.clients.kustomize.compile import DECRYPTOR, build
from tests.cluster.certificates import Authority
from tests.e2e.harness import ENTRY, Bench, Repository, config_map, deployment, kustomization
from tests.gits import GitServer, Pages, SshServer, git_server, pages, ssh_server
from tests.gits.over_ssh import key
from tests.registry import Gate, Registry, registry
from tests.registry.gate import PASSWORD, USER
from tests.registry.server import packed
from tests.sops import AgeKey, PgpKey, seal

TOKEN = "git-token-51ac"
REGEX = ("--encrypted-regex", "^(data|stringData|labels)$")
MANIFESTS = "application/vnd.example.manifests.tar+gzip"
DOCUMENTATION = "application/vnd.example.documentation.tar+gzip"
PARTS = ("token", "object", "openpgp", "value", "patch", "envs", "file")
"""Where in the sealed Kustomization a value stands."""


@dataclass(frozen=True)
class Servers:
    """What the fleet is fetched from."""

    https: GitServer
    ssh: SshServer
    plain: GitServer  # where remote bases are
    pages: Pages
    gate: Gate  # before the registry

    @property
    def seen(self) -> list[Any]:
        """Everything that they were asked, but for the one that speaks ssh."""
        return [*self.https.seen, *self.plain.seen, *self.pages.seen, *self.gate.seen]


@dataclass(frozen=True)
class Fleet:
    """The fleet in a test's world. `secrets` are those that somebody makes in the cluster by hand."""

    world: Bench
    servers: Servers
    age: AgeKey
    pgp: PgpKey
    secrets: dict[str, dict[str, str]]
    canary: str

    @property
    def sealed(self) -> list[str]:
        """What is sealed, and a part of each key that opens it."""
        return [*(self.value(part) for part in PARTS), "AGE-SECRET-KEY-", self.pgp.secret.splitlines()[5]]

    @property
    def logins(self) -> list[str]:
        """A part of each credential that something is fetched with."""
        return [TOKEN, PASSWORD, self.servers.ssh.identity.splitlines()[2]]

    @property
    def kfile(self) -> dict[str, Any]:
        """The kustomization file of what is sealed."""
        generated = {"name": "web", "namespace": self.world.namespace, "envs": ["web.env"], "files": ["key"]}
        return {
            "resources": ["settings.yaml", "db.yaml", "old.yaml", "blob.yaml", "plain.yaml", "web.yaml"],
            "patches": [{"path": "patch.yaml"}],
            "secretGenerator": [generated],
        }

    def value(self, part: str) -> str:
        return f"{self.canary}-{part}"

    def give(self) -> None:
        """Make the namespace and the Secrets, as somebody does by hand."""
        api, where = self.world.api, "/api/v1/namespaces"
        if api.get(f"{where}/{self.world.namespace}").status != 200:
            assert api.request("POST", where, {"metadata": {"name": self.world.namespace}}).status == 201
        for name, data in self.secrets.items():
            body: dict[str, Any] = {"metadata": {"name": name}, "stringData": data}
            if ".dockerconfigjson" in data:
                body["type"] = "kubernetes.io/dockerconfigjson"
            made = api.request("POST", f"{where}/{self.world.namespace}/secrets", body)
            assert made.status == 201, made.body

    def seal(self) -> str:
        """Write the sealed files with this fleet's values, and commit; the commit."""
        write = self.world.repository.write
        for name, text in self._sealed().items():
            write(f"apps/sealed/{name}", text)
        return self.world.repository.commit()

    def _sealed(self) -> dict[str, str]:
        whole = self.whole
        blob = b64encode(seal(self.value("value"), self.age, "binary").encode()).decode()
        return {
            "settings.yaml": whole(config_map(self.world, "settings", token=self.value("token")), self.age),
            "db.yaml": whole(self.secret("db", password=self.value("object")), self.age),
            "old.yaml": whole(self.secret("old", password=self.value("openpgp")), self.pgp),
            "blob.yaml": yaml.safe_dump({**self.secret("blob"), "data": {"blob": blob}}),
            "patch.yaml": whole(self.secret("plain", password=self.value("patch")), self.pgp),
            "web.env": seal(f"pin={self.value('envs')}\n", self.age, "dotenv"),
            "key": seal(self.value("file"), self.pgp, "binary"),
        }

    def whole(self, manifest: dict[str, Any], by: AgeKey | PgpKey) -> str:
        """An object whose data and labels are sealed."""
        return seal(yaml.safe_dump(manifest), by, "yaml", *REGEX)

    def secret(self, name: str, **data: str) -> dict[str, Any]:
        meta = {"name": name, "namespace": self.world.namespace}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": data}


@contextmanager
def fleet(world: Bench, directory: Path) -> Iterator[Fleet]:
    """The fleet, committed; its servers run until the end of the block. Docker knows no login here."""
    build(DECRYPTOR)
    with ExitStack() as stack:
        authority = Authority.create()
        servers = _servers(world, directory, authority, stack)
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="g"))) / "h"  # a short path
        pgp = PgpKey.new(home)
        stack.callback(pgp.close)
        age = AgeKey.new()
        login = {"auths": {servers.gate.host: {"auth": b64encode(f"{USER}:{PASSWORD}".encode()).decode()}}}
        authorities = authority.credential.certificate.decode()
        secrets = {
            "git-token": {"bearerToken": TOKEN, "ca.crt": authorities},
            "deploy-key": {"identity": servers.ssh.identity, "known_hosts": servers.ssh.known_hosts},
            "registry": {".dockerconfigjson": json.dumps(login)},
            "sops-keys": {"age.agekey": age.secret, "pgp.asc": pgp.secret},
        }
        made = Fleet(world, servers, age, pgp, secrets, "canary-5f02")
        _entry(made)
        made.seal()
        (directory / "docker").mkdir()
        (directory / "tmp").mkdir()
        world.env |= {"DOCKER_CONFIG": str(directory / "docker"), "TMPDIR": str(directory / "tmp")}
        yield made


def _servers(world: Bench, directory: Path, authority: Authority, stack: ExitStack) -> Servers:
    served, keys = directory / "served", directory / "keys"
    (served / "team").mkdir(parents=True)
    keys.mkdir()
    part = Repository(served / "part")
    part.write("part.yaml", config_map(world, "part", **{"from": "part"}))
    pinned = part.commit()
    for name in ("web", "lib"):
        other = Repository(served / name)
        if name == "web":
            other.write(".gitmodules", '[submodule "part"]\n\tpath = deploy/part\n\turl = ../part\n')
        other.write("deploy/web.yaml", config_map(world, name, **{"from": name}))
        other.git("add", "--all")
        if name == "web":
            other.git("update-index", "--add", "--cacheinfo", f"160000,{pinned},deploy/part")
        other.git("commit", "--quiet", "--message", "first")
        other.git("tag", "1.2.0")
    base = Repository(served / "team" / "base")
    base.write("base/kustomization.yaml", {"resources": ["base.yaml"]})
    base.write("base/base.yaml", config_map(world, "base", **{"from": "base"}))
    base.commit()
    base.git("tag", "v1")

    certificate = authority.server()
    (keys / "server.pem").write_bytes(certificate.certificate + b"\n" + certificate.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / "server.pem")
    real = stack.enter_context(registry())
    page = json.dumps(config_map(world, "page", **{"from": "page"}))
    return Servers(
        https=stack.enter_context(git_server(served, context, login=f"Bearer {TOKEN}")),
        ssh=stack.enter_context(ssh_server(served, keys, key(keys, "deploy").with_suffix(".pub"))),
        plain=stack.enter_context(git_server(served)),
        pages=stack.enter_context(pages({"/page.yaml": page})),
        gate=stack.enter_context(Gate.before(real.host, login="bearer")),
    )


def _entry(fleet: Fleet) -> None:
    """The entry, what it points at in this repository, and kustodian.yaml."""
    world, servers = fleet.world, fleet.servers
    write = world.repository.write

    def source(kind: str, name: str, **spec: Any) -> dict[str, Any]:
        meta = {"name": name, "namespace": world.namespace}
        version = "source.toolkit.fluxcd.io/v1"
        return {"apiVersion": version, "kind": kind, "metadata": meta, "spec": {"interval": "1m", **spec}}

    def uses(kind: str, name: str, path: str = "deploy", **spec: Any) -> dict[str, Any]:
        return kustomization(world, name, path, sourceRef={"kind": kind, "name": name}, **spec)

    def named(name: str) -> dict[str, str]:
        return {"name": name}

    artifact = {"deploy/web.yaml": json.dumps(config_map(world, "oci", **{"from": "oci"}))}
    layers = [(DOCUMENTATION, packed({"README.md": "# no manifest\n"})), (MANIFESTS, packed(artifact))]
    digest = Registry(servers.gate.upstream).push_layers(f"{world.namespace}/oci", "latest", layers)
    write(
        f"{ENTRY}/sources.yaml",
        source(
            "GitRepository",
            "web",
            url=servers.https.url("web"),
            ref={"branch": "main"},
            recurseSubmodules=True,
            secretRef=named("git-token"),
        ),
        source(
            "GitRepository",
            "lib",
            url=servers.ssh.url("lib"),
            ref={"semver": "1.x"},
            secretRef=named("deploy-key"),
        ),
        source(
            "OCIRepository",
            "oci",
            url=f"oci://{servers.gate.host}/{world.namespace}/oci",
            ref={"digest": digest},
            layerSelector={"mediaType": MANIFESTS, "operation": "extract"},
            secretRef=named("registry"),
        ),
    )
    sops = {"provider": "sops", "secretRef": named("sops-keys")}
    write(
        f"{ENTRY}/apps.yaml",
        uses("GitRepository", "web"),
        uses("GitRepository", "lib"),
        uses("OCIRepository", "oci"),
        uses("Bucket", "vendored", "."),
        kustomization(world, "based", "apps/based"),
        kustomization(world, "sealed", "apps/sealed", decryption=sops),
    )
    write("vendor/vendored.yaml", config_map(world, "vendored", **{"from": "vendored"}))
    remote = [f"{servers.plain.url('team/base')}//base?ref=v1", servers.pages.url("/page.yaml")]
    write("apps/based/kustomization.yaml", {"resources": remote})
    write("apps/sealed/plain.yaml", fleet.secret("plain", user="somebody"))
    web = deployment(world, "web")
    web["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"secretRef": {"name": "web"}}]
    write("apps/sealed/web.yaml", web)
    write("apps/sealed/kustomization.yaml", fleet.kfile)
    write(
        "kustodian.yaml",
        {
            "sources": {f"Bucket/{world.namespace}/vendored": "./vendor"},
            "clusters": {"test": {"entry": ENTRY, "root": world.root, "kubeconfig": str(world.kubeconfig)}},
        },
    )
