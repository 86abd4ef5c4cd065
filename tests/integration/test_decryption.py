"""SOPS files through both stages, with the real programs: what a build gets and shows, what goes wrong."""

from __future__ import annotations

import json
import os
import subprocess
import textwrap
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from runner.clients.kustomize import Decryptor, WorkerPool
from runner.clients.kustomize.compile import DECRYPTOR, build, source_hash
from runner.clients.kustomize.process import Limits
from runner.errors import DecryptionError
from runner.fleet import Keys
from runner.model import VariableSource
from runner.render import keys
from runner.rendered import BuildRequest, Built, Sealed
from tests.sops import AgeKey, PgpKey, has_gpg, seal

CANARY = "canary-plaintext-7d1f"
SOURCE = VariableSource("Secret", "apps", "sops-keys")
SECRET = f"""
    apiVersion: v1
    kind: Secret
    metadata: {{name: db, namespace: apps}}
    stringData:
      password: {CANARY}
"""
REGEX = ("--encrypted-regex", "^(data|stringData)$")


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    build()
    with WorkerPool(1) as shared:
        yield shared


@pytest.fixture(scope="module")
def decryptor() -> Iterator[Decryptor]:
    with Decryptor(build(DECRYPTOR)) as shared:
        yield shared


@pytest.fixture(scope="module")
def age() -> AgeKey:
    return AgeKey.new()


@pytest.fixture(scope="module")
def pgp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PgpKey]:
    if not has_gpg():
        pytest.skip("there is no gpg to make a key with")
    # A socket's path must be short, and pytest's are not.
    home = Path(os.path.realpath(tmp_path_factory.mktemp("g"))) / "h"
    key = PgpKey.new(home)
    yield key
    key.close()


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[Mapping[str, str]], Path]:
    root = tmp_path / "artifact"

    def make(files: Mapping[str, str]) -> Path:
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return root

    return make


@pytest.fixture
def opened(pool, decryptor, tree, age):
    """Builds a tree with keys; by default those that opened it is sealed for."""

    def run(files: Mapping[str, str], given: Mapping[str, str] | None = None, **spec: Any) -> Built:
        held = {"age.agekey": age.secret} if given is None else given
        coded = {name: b64encode(text.encode()).decode() for name, text in held.items()}
        return keys.build(pool, request(tree(files), **spec), Keys(source=SOURCE, values=coded), decryptor)

    return run


@pytest.fixture
def closed(pool, tree):
    """Builds a tree without any key."""

    def run(files: Mapping[str, str], **spec: Any) -> Built:
        return pool.build(request(tree(files), **spec))

    return run


def request(root: Path, **spec: Any) -> BuildRequest:
    variables = spec.pop("variables", {})
    own = {"path": "app", "prune": True, "decryption": {"provider": "sops"}, **spec}
    manifest = {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": "app", "namespace": "apps"},
        "spec": {name: value for name, value in own.items() if value is not None},
    }
    return BuildRequest(root, "app", manifest, variables=variables)


def kfile(**fields: Any) -> str:
    return json.dumps({"generatorOptions": {"disableNameSuffixHash": True}, **fields})


def only(built: Built) -> dict[str, Any]:
    assert built.ok, built.problems
    (found,) = built.resources
    assert CANARY not in json.dumps(found.display, ensure_ascii=False)
    return found.object


def data(built: Built) -> dict[str, str]:
    return {name: b64decode(text).decode() for name, text in only(built)["data"].items()}


def sealed(text: str, key: AgeKey | PgpKey, kind: str = "yaml", *flags: str) -> str:
    return seal(textwrap.dedent(text), key, kind, *flags)


class TestResources:
    def test_a_secret(self, opened, age):
        found = only(opened({"app/secret.yaml": sealed(SECRET, age, "yaml", *REGEX)}))

        assert found["stringData"] == {"password": CANARY}
        assert "sops" not in found

    def test_any_object_with_a_mac(self, opened, age):
        text = f"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: c}}, data: {{a: {CANARY}}}}}"

        found = only(opened({"app/c.yaml": sealed(text, age, "yaml", *REGEX)}))

        assert found["data"] == {"a": CANARY}

    def test_a_post_quantum_key(self, opened):
        key = AgeKey.new("-pq")

        built = opened({"app/s.yaml": sealed(SECRET, key, "yaml", *REGEX)}, {"k.agekey": key.secret})

        assert only(built)["stringData"] == {"password": CANARY}

    def test_an_openpgp_key(self, opened, pgp):
        built = opened({"app/s.yaml": sealed(SECRET, pgp, "yaml", *REGEX)}, {"k.asc": pgp.secret})

        assert only(built)["stringData"] == {"password": CANARY}

    def test_any_one_of_several_keys_will_do(self, opened, age):
        other = AgeKey.new()
        text = seal(textwrap.dedent(SECRET), other, "yaml", *REGEX, keys=[age])

        assert only(opened({"app/s.yaml": text}))["stringData"] == {"password": CANARY}

    @pytest.mark.parametrize(
        ("name", "kind", "text", "plain"),
        [
            ("blob", "binary", CANARY, CANARY),
            ("a.yaml", "yaml", f"a: {CANARY}\n", f"a: {CANARY}\n"),
            (".dockerconfigjson", "json", f'{{"auths": "{CANARY}"}}', f'{{\n\t"auths": "{CANARY}"\n}}\n'),
            ("a.env", "dotenv", f"a={CANARY}\n", f"a={CANARY}\n"),
            ("a.ini", "ini", f"[s]\na = {CANARY}\n", f"[s]\na = {CANARY}\n"),
        ],
    )
    def test_values_of_a_secret_that_are_whole_files(self, opened, age, name, kind, text, plain):
        value = b64encode(sealed(text, age, kind).encode()).decode()
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {name: value}}

        assert data(opened({"app/s.yaml": json.dumps(secret)}))[name] == plain

    @pytest.mark.parametrize("value", ["disabled", "Disabled"])
    def test_one_that_opts_out_stays_as_it_is(self, opened, age, value):
        mark = "{kustomize.toolkit.fluxcd.io/decrypt: " + value + "}"
        text = SECRET.replace("namespace: apps", f"annotations: {mark}")

        assert "sops" in only(opened({"app/s.yaml": sealed(text, age, "yaml", *REGEX)}))

    def test_without_decryption_nothing_happens(self, closed, age):
        built = closed({"app/s.yaml": sealed(SECRET, age, "yaml", *REGEX)}, decryption=None)

        assert "sops" in built.resources[0].object

    def test_decryption_comes_before_substitution(self, opened, age):
        text = SECRET.replace(CANARY, "pre-${suffix}")

        built = opened(
            {"app/s.yaml": sealed(text, age, "yaml", *REGEX)}, postBuild={}, variables={"suffix": "post"}
        )

        assert only(built)["stringData"] == {"password": "pre-post"}

    def test_what_kustomize_changed_is_no_tampering(self, opened, age):
        """The code over the whole text is not held against it, as in Flux; each value's own is."""
        files = {
            "app/s.yaml": sealed(SECRET, age, "yaml", *REGEX),
            "app/kustomization.yaml": kfile(resources=["s.yaml"], labels=[{"pairs": {"a": "b"}}]),
        }

        assert only(opened(files))["stringData"] == {"password": CANARY}


class TestSources:
    @pytest.mark.parametrize(
        ("source", "kind", "text", "plain"),
        [
            (("envs", "a.env"), "dotenv", f"a={CANARY}\n", {"a": CANARY}),
            (("envs", "plain"), "dotenv", f"a={CANARY}\n", {"a": CANARY}),
            (("files", "blob"), "binary", CANARY, {"blob": CANARY}),
            (("files", "a.yaml"), "yaml", f"a: {CANARY}\n", {"a.yaml": f"a: {CANARY}\n"}),
            (("files", "a.ini"), "ini", f"[s]\na = {CANARY}\n", {"a.ini": f"[s]\na = {CANARY}\n"}),
            (("files", "a.json"), "json", f'{{"a": "{CANARY}"}}', {"a.json": f'{{\n\t"a": "{CANARY}"\n}}\n'}),
            (
                ("files", ".dockerconfigjson=x"),
                "json",
                f'{{"a": "{CANARY}"}}',
                {".dockerconfigjson": f'{{\n\t"a": "{CANARY}"\n}}\n'},
            ),
        ],
    )
    def test_secret_generators(self, opened, age, source, kind, text, plain):
        field, name = source
        files = {
            f"app/{name.rpartition('=')[2]}": sealed(text, age, kind),
            "app/kustomization.yaml": kfile(secretGenerator=[{"name": "s", field: [name]}]),
        }

        assert data(opened(files)) == plain

    def test_through_resources_and_components_that_include_each_other(self, opened, age):
        files = {
            "app/kustomization.yaml": kfile(components=["../part"]),
            "part/kustomization.yaml": kfile(
                apiVersion="kustomize.config.k8s.io/v1alpha1",
                kind="Component",
                secretGenerator=[{"name": "s", "files": ["../shared/key"]}],
            ),
            "shared/key": sealed(CANARY, age, "binary"),
        }

        assert data(opened(files)) == {"key": CANARY}

    def test_patches(self, opened, age):
        patch = f"{{apiVersion: v1, kind: Secret, metadata: {{name: s}}, stringData: {{b: {CANARY}}}}}"
        files = {
            "app/s.yaml": "{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {a: b}}",
            "app/patch.yaml": sealed(patch, age, "yaml", *REGEX),
            "app/kustomization.yaml": kfile(resources=["s.yaml"], patches=[{"path": "patch.yaml"}]),
        }

        assert only(opened(files))["stringData"] == {"a": "b", "b": CANARY}

    def test_configmap_generators_are_left_alone(self, opened, age):
        files = {
            "app/a.yaml": sealed(f"a: {CANARY}", age),
            "app/kustomization.yaml": kfile(configMapGenerator=[{"name": "c", "files": ["a.yaml"]}]),
        }

        assert "mac: ENC[" in opened(files).resources[0].object["data"]["a.yaml"]

    def test_what_has_no_marker_of_its_format_is_left_to_the_second_stage(self, opened, age):
        files = {
            "app/a.env": sealed(f"a: {CANARY}", age),  # YAML under a name of another format
            "app/kustomization.yaml": kfile(secretGenerator=[{"name": "s", "files": ["a.env"]}]),
        }

        assert data(opened(files)) == {"a.env": f"a={CANARY}\n"}

    def test_a_large_file(self, opened):
        files = {
            "app/key": "x" * (5 * (1 << 20) + 1),
            "app/kustomization.yaml": kfile(secretGenerator=[{"name": "s", "files": ["key"]}]),
        }

        (problem,) = opened(files).problems

        assert "error decrypting sources: " in problem.message
        assert "cannot decrypt file with size (5242881 bytes) exceeding limit (5242880)" in problem.message

    def test_a_link_out_of_the_tree_ends_in_it(self, opened, tree, tmp_path):
        (tmp_path / "outside").write_text("outside")
        root = tree({"app/kustomization.yaml": kfile(secretGenerator=[{"name": "s", "files": ["key"]}])})
        (root / "app" / "key").symlink_to(tmp_path / "outside")

        (problem,) = opened({}).problems

        assert "error decrypting sources: " in problem.message

    def test_nothing_is_written_to_the_tree(self, opened, tree, age):
        files = {
            "app/a.env": sealed(f"a={CANARY}", age, "dotenv"),
            "app/kustomization.yaml": kfile(secretGenerator=[{"name": "s", "envs": ["a.env"]}]),
        }
        root = tree(files)
        before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}

        opened(files)

        assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


class TestWithoutKeys:
    def test_placeholders_say_where_they_stand(self, closed, age):
        (found,) = closed({"app/s.yaml": sealed(SECRET, age, "yaml", *REGEX)}).resources

        assert found.object["stringData"]["password"].startswith("‹SOPS apps/db:password ")
        assert found.unresolved == ("SOPS apps/db:password",)
        assert "sops" not in found.object

    def test_they_are_what_is_shown_where_there_are_keys(self, opened, closed, age):
        files = {
            "app/s.yaml": sealed(SECRET, age, "yaml", *REGEX),
            "app/a.env": sealed(f"a={CANARY}", age, "dotenv"),
            "app/kustomization.yaml": kfile(
                resources=["s.yaml"], secretGenerator=[{"name": "s", "envs": ["a.env"]}]
            ),
        }

        with_keys, without = opened(files), closed(files)

        assert [each.shown for each in with_keys.resources] == [each.object for each in without.resources]
        assert CANARY not in json.dumps([each.shown for each in with_keys.resources])

    def test_another_value_is_another_placeholder(self, closed, age):
        one, other = (
            closed({"app/s.yaml": sealed(SECRET, age, "yaml", *REGEX)}).resources[0].object for _ in range(2)
        )

        assert one["stringData"] != other["stringData"]

    def test_names_with_a_hash_are_not_known(self, closed, age):
        pod = """
            apiVersion: v1
            kind: Pod
            metadata: {name: p}
            spec: {containers: [{name: c, image: i, envFrom: [{secretRef: {name: s}}]}]}
        """
        files = {
            "app/p.yaml": pod,
            "app/a.env": sealed(f"a={CANARY}", age, "dotenv"),
            "app/kustomization.yaml": json.dumps(
                {"resources": ["p.yaml"], "secretGenerator": [{"name": "s", "envs": ["a.env"]}]}
            ),
        }

        built = closed(files)

        assert built.unnamed
        unknown = {each.object["kind"]: each.unresolved for each in built.resources}
        assert unknown == {"Secret": ("SOPS app/a.env:a",), "Pod": ("the name of Secret s-…",)}

    @pytest.mark.parametrize(
        ("name", "kind", "text"),
        [
            ("a.yaml", "yaml", f"# {CANARY}\na: {{b: [{CANARY}]}}\n"),
            ("a.json", "json", f'{{"a": {{"b": ["{CANARY}"]}}}}'),
            ("a.env", "dotenv", f"#{CANARY}\na={CANARY}\n"),
            ("a.ini", "ini", f"; {CANARY}\n[s]\na = {CANARY}\n"),
            ("a", "binary", CANARY),
        ],
    )
    def test_every_format_has_some(self, closed, age, name, kind, text):
        files = {
            f"app/{name}": sealed(text, age, kind),
            "app/kustomization.yaml": kfile(secretGenerator=[{"name": "s", "files": [name]}]),
        }

        content = data(closed(files))[name]

        assert "‹SOPS app/" in content
        assert "ENC[" not in content


class TestWhatGoesWrong:
    def test_another_key(self, opened, age):
        other = AgeKey.new()

        (problem,) = opened(
            {"app/s.yaml": sealed(SECRET, age, "yaml", *REGEX)}, {"k.agekey": other.secret}
        ).problems

        assert problem.message.startswith(
            "decryption failed for 'Secret.v1.[noGrp]/db': failed to decrypt and format "
            "'apps/db' Secret data: cannot get sops data key: "
        )
        assert age.recipient in problem.message
        assert "incorrect identity" in problem.message or "did not match any" in problem.message, (
            problem.message
        )

    @pytest.mark.parametrize(
        ("flags", "missing"),
        [
            (["--kms", "arn:aws:kms:eu-west-1:1:key/k"], "no AWS credentials are given"),
            (["--hc-vault-transit", "https://v.example/v1/sops/keys/k"], "no Vault token is given"),
        ],
    )
    def test_what_is_missing_is_named(self, opened, age, flags, missing):
        """Other recipients are written in by hand: sops itself would ask them to seal."""
        text = json.loads(sealed('{"a": "b"}', age, "json"))
        del text["sops"]["age"]
        if flags[0] == "--kms":
            text["sops"]["kms"] = [{"arn": flags[1], "created_at": "2026-01-01T00:00:00Z", "enc": "eA=="}]
        else:
            text["sops"]["hc_vault"] = [
                {
                    "vault_address": "https://v.example",
                    "engine_path": "sops",
                    "key_name": "k",
                    "created_at": "2026-01-01T00:00:00Z",
                    "enc": "x",
                }
            ]
        files = {
            "app/a.json": json.dumps(text).replace('"mac":"', '"mac": "'),
            "app/kustomization.yaml": kfile(secretGenerator=[{"name": "s", "files": ["a.json"]}]),
        }

        (problem,) = opened(files).problems

        assert problem.message.startswith("error decrypting sources: cannot get sops data key: ")
        assert missing in problem.message
        assert problem.file == "app/a.json"

    def test_no_key_at_all(self, opened, age):
        (problem,) = opened({"app/s.yaml": sealed(SECRET, age, "yaml", *REGEX)}, {}).problems

        assert "no age key is given" in problem.message
        assert "SOPS_AGE_KEY" in problem.hint

    def test_a_value_that_was_moved(self, opened, age):
        text = sealed(SECRET + "      other: something\n", age, "yaml", *REGEX)
        moved = text.replace("    password:", "    passw0rd:")

        (problem,) = opened({"app/s.yaml": moved}).problems

        assert "error decrypting sops tree: " in problem.message

    def test_a_tampered_mac_is_as_in_flux(self, opened, age):
        """kustomize-controller does not look at it: kustomize changes what it is made of."""
        text = sealed(SECRET, age, "yaml", *REGEX)
        start = text.index("mac: ENC[AES256_GCM,data:") + len("mac: ENC[AES256_GCM,data:")
        tampered = text[:start] + ("A" if text[start] != "A" else "B") + text[start + 1 :]

        assert only(opened({"app/s.yaml": tampered}))["stringData"] == {"password": CANARY}

    def test_a_value_in_the_clear_is_not_quoted(self, opened, age):
        text = sealed(SECRET, age, "yaml", *REGEX)
        start = text.index("password: ENC[")
        plain = text[:start] + f"password: {CANARY}" + text[text.index("\n", start) :]

        (problem,) = opened({"app/s.yaml": plain}).problems

        assert "Input string <redacted> does not match sops' data format" in problem.message
        assert CANARY not in problem.message

    def test_a_corrupt_file(self, opened, age):
        files = {
            "app/a.yaml": "a: [\n" + sealed("a: b", age),
            "app/kustomization.yaml": kfile(secretGenerator=[{"name": "s", "files": ["a.yaml"]}]),
        }

        (problem,) = opened(files).problems

        assert problem.message.startswith("error decrypting sources: failed to load encrypted YAML data: ")

    @pytest.mark.parametrize(
        ("name", "key"),
        [
            ("k.agekey", f"AGE-SECRET-KEY-1{CANARY}"),
            ("k.agekey", CANARY),
            ("k.asc", f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{CANARY}\n"),
            ("sops.aws-kms", f"{CANARY}: {{"),
            ("sops.azure-kv", f"tenantId: {CANARY}"),
            ("sops.gcp-kms", f'{{"type": "{CANARY}"}}'),
        ],
    )
    def test_a_broken_key_is_named_and_not_quoted(self, opened, age, name, key):
        (problem,) = opened({"app/s.yaml": sealed(SECRET, age, "yaml", *REGEX)}, {name: key}).problems

        assert problem.message.startswith(
            f"failed to import '{name}' data from sops decryption Secret 'apps/sops-keys': "
        )
        assert CANARY not in problem.message

    def test_what_kustomize_says_of_opened_text_is_not_told(self, opened, age):
        patch = f"{{apiVersion: v1, kind: Secret, metadata: {{name: s}}, stringData: {{$patch: {CANARY}}}}}"
        files = {
            "app/s.yaml": "{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {a: b}}",
            "app/patch.yaml": sealed(patch, age, "yaml", *REGEX),
            "app/kustomization.yaml": kfile(resources=["s.yaml"], patches=[{"path": "patch.yaml"}]),
        }

        (problem,) = opened(files).problems

        assert CANARY not in str(problem)
        assert "the build fails on what was decrypted" in problem.message

    def test_an_expression_inside_is_not_told(self, opened, age):
        text = SECRET.replace(CANARY, "x${canary_variable}y")

        files = {"app/s.yaml": sealed(text, age, "yaml", *REGEX)}

        (problem,) = opened(files, postBuild={"substituteStrategy": "Always"}).problems

        assert "canary" not in problem.message
        assert "fails on what was decrypted" in problem.message


class TestProcess:
    item = Sealed("id", b"{}", "json", "json", "")

    def test_it_is_made_of_these_sources(self):
        done = subprocess.run([build(DECRYPTOR), "-source-hash"], capture_output=True, text=True, check=True)

        assert done.stdout.strip() == source_hash(DECRYPTOR)

    def test_keys_are_in_no_argument_and_no_environment(self, decryptor, age):
        coded = b64encode(age.secret.encode()).decode()
        decryptor.open("a/b", {"k.agekey": coded}, {}, [self.item])

        command = Path(f"/proc/{decryptor.pid}/cmdline").read_bytes()
        assert b"kustodian-decryptor" in command
        assert b"AGE-SECRET" not in command

    def test_keys_of_one_request_are_of_no_use_to_the_next(self, decryptor, age):
        text = sealed('{"a": "b"}', age, "json").encode()
        item = Sealed("id", text, "json", "json", "")
        coded = b64encode(age.secret.encode()).decode()

        (with_key,) = decryptor.open("a/b", {"k.agekey": coded}, {}, [item])
        (without,) = decryptor.open("a/b", {}, {}, [item])

        assert with_key.data
        assert "no age key is given" in without.error

    def test_it_is_not_started_for_nothing(self, pool, tree):
        with Decryptor(Path("/nowhere")) as idle:
            built = keys.build(
                pool,
                request(tree({"app/c.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}"})),
                Keys(),
                idle,
            )

        assert built.ok
        assert idle.pid is None

    def test_one_that_is_not_there(self):
        with pytest.raises(DecryptionError, match="does not start"), Decryptor(Path("/nowhere")) as absent:
            absent.open("", {}, {}, [self.item])

    def test_one_that_dies_says_nothing(self, tmp_path):
        program = tmp_path / "dies"
        program.write_text(f"#!/bin/sh\necho {CANARY} >&2\nexit 3\n")
        program.chmod(0o755)

        with pytest.raises(DecryptionError) as caught, Decryptor(program) as dying:
            dying.open("", {}, {}, [self.item])

        assert CANARY not in str(caught.value)
        assert caught.value.hint

    def test_too_large_an_answer(self, age):
        text = sealed(CANARY * 200_000, age, "binary").encode()
        limits = Limits(1 << 30, 1 << 20, 16 << 20, 10)
        coded = b64encode(age.secret.encode()).decode()

        with Decryptor(build(DECRYPTOR), limits=limits) as small:
            with pytest.raises(DecryptionError, match="larger than the limit"):
                small.open("", {"k.agekey": coded}, {}, [Sealed("id", text, "binary", "binary", "")])

            (answer,) = small.open("", {}, {}, [self.item])
            assert answer.error
