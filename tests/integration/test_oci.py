"""OCI artifacts out of a real registry: right ones byte for byte, wrong ones refused, nowhere led astray."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import ssl
import subprocess
import tarfile
import threading
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor

import pytest

from runner.clients.archive import Limits
from runner.clients.kept import KeptContent
from runner.clients.network import Policy
from runner.clients.oci import OciArtifacts
from runner.errors import SourceError, UsageError
from runner.registries import Certificates, Layer, OciAccess, ProxyAccess
from tests.cached_build import BuildError
from tests.cluster import wait_until
from tests.cluster.certificates import Authority
from tests.fidelity import oracle
from tests.integration.relay import Relay
from tests.registry import Gate, Rule, registry
from tests.registry.gate import PASSWORD, USER
from tests.registry.server import INDEX, LAYER, MANIFEST, entry, packed

FILES = {"apps/web.yaml": "kind: Web\n", "README.md": "read me\n"}
SECRET = "s3cr3t-of-a-test"


@pytest.fixture(scope="module")
def real():
    with registry() as made:
        yield made


@pytest.fixture(autouse=True)
def no_login_of_this_machine(tmp_path, monkeypatch):
    (tmp_path / "docker").mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return tmp_path / "docker"


@pytest.fixture
def make(tmp_path):
    """Clients, each with what it may reach."""
    made = []

    def one(*, private=True, helpers=False, cache="cache", **options):
        kept = KeptContent(tmp_path / cache)
        made.append(OciArtifacts(Policy(private=private), kept, helpers, **options))
        return made[-1]

    yield one
    for each in made:
        each.close()


@pytest.fixture
def oci(make):
    return make()


def access(host, path="fleet/web", **options):
    return OciAccess("OCIRepository/apps/web", f"oci://{host}/{path}", **{"timeout": 20.0, **options})


def config(host, user=USER, password=PASSWORD):
    auth = b64encode(f"{user}:{password}".encode()).decode()
    return json.dumps({"auths": {host: {"auth": auth}}})


def pulled(oci, where, tmp_path, tag="1.0.0", layer=None):
    target = tmp_path / f"files-{len([*tmp_path.iterdir()])}"
    target.mkdir()
    oci.pull(where, oci.digest(where, tag), layer or Layer(), target)
    return {
        str(path.relative_to(target)): path.read_text()
        for path in sorted(target.rglob("*"))
        if path.is_file()
    }


def refused(oci, where, tmp_path, match, **options):
    with pytest.raises(SourceError, match=match) as caught:
        pulled(oci, where, tmp_path, **options)
    assert caught.value.message.startswith("OCIRepository/apps/web: ")
    assert SECRET not in caught.value.message
    return caught.value


def test_an_artifact(real, oci, tmp_path):
    digest = real.push("fleet/web", "1.0.0", FILES)
    assert oci.digest(access(real.host), "1.0.0") == digest
    assert pulled(oci, access(real.host), tmp_path) == FILES
    assert "1.0.0" in oci.tags(access(real.host))


def test_the_same_files_as_flux_pull_artifact(real, oci, tmp_path):
    """What the real flux pushes is what we read, and what the real flux reads."""
    try:
        flux = oracle.flux()
    except BuildError as error:
        pytest.skip(f"needs flux {oracle.VERSION}: {error}")
    source, theirs = tmp_path / "source", tmp_path / "theirs"
    for name, text in {**FILES, "deep/er/x.yaml": "x: é\n", "run.sh": "#!/bin/sh\n"}.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    (source / "run.sh").chmod(0o755)
    theirs.mkdir()
    url = f"oci://{real.host}/fleet/pushed"
    of = ["--source", "https://github.com/example/fleet", "--revision", "main@sha1:0"]
    push = [flux, "push", "artifact", f"{url}:v1", "--path", source, *of]
    pull = [flux, "pull", "artifact", f"{url}:v1", "--output", theirs]
    for command in (push, pull):
        subprocess.run(command, check=True, capture_output=True, env={"HOME": str(tmp_path)})
    ours = tmp_path / "ours"
    ours.mkdir()
    where = access(real.host, "fleet/pushed")
    oci.pull(where, oci.digest(where, "v1"), Layer(), ours)
    assert tree(ours) == tree(theirs)
    assert len(tree(ours)) == 4


def tree(root):
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    return {str(p.relative_to(root)): (p.read_bytes(), bool(p.stat().st_mode & 0o100)) for p in files}


def test_a_tag_is_looked_up_once_in_a_run_and_anew_in_the_next(real, make, tmp_path):
    one = make()
    first = real.push("fleet/moving", "latest", {"a": "1"})
    where = access(real.host, "fleet/moving")
    assert one.digest(where, "latest") == first
    second = real.push("fleet/moving", "latest", {"a": "2"})
    assert one.digest(where, "latest") == first
    assert pulled(one, where, tmp_path, "latest") == {"a": "1"}
    assert make().digest(where, "latest") == second


def test_layers_are_chosen_as_flux_does(real, oci, tmp_path):
    layers = [("text/plain", packed({"first": "1"})), (LAYER, packed({"second": "2"}))]
    real.push_layers("fleet/layers", "1.0.0", [*layers, (LAYER, packed({"third": "3"}))])
    where = access(real.host, "fleet/layers")
    assert pulled(oci, where, tmp_path) == {"first": "1"}
    assert pulled(oci, where, tmp_path, layer=Layer(LAYER)) == {"second": "2"}
    error = refused(oci, where, tmp_path, "failed to find layer with media type 'x'", layer=Layer("x"))
    assert "text/plain" in error.hint
    real.push_layers("fleet/layers", "none", [])
    refused(oci, where, tmp_path, "no layers found in artifact", tag="none")


def test_an_index_stands_for_its_linux_amd64(real, oci, tmp_path):
    children = []
    for name in ("arm64", "amd64"):
        digest = real.push("fleet/index", name, {"a": name})
        platform = {"os": "linux", "architecture": name}
        children.append({"mediaType": MANIFEST, "digest": digest, "size": 1, "platform": platform})
    both = {"schemaVersion": 2, "mediaType": INDEX, "manifests": children}
    digest = real.manifest("fleet/index", "both", both)
    real.manifest("fleet/index", "arm", {**both, "manifests": children[:1]})
    where = access(real.host, "fleet/index")
    assert oci.digest(where, "both") == digest
    assert pulled(oci, where, tmp_path, "both") == {"a": "amd64"}
    refused(oci, where, tmp_path, "an index without a manifest for linux/amd64", tag="arm")


def test_what_is_not_there(real, oci, tmp_path):
    refused(oci, access(real.host), tmp_path, "nope of .*: the registry has no such thing", tag="nope")
    refused(oci, access(real.host, "no/where"), tmp_path, "the registry has no such thing")
    refused(oci, access(real.host), tmp_path, "cannot be a tag", tag="a/b")


@pytest.mark.parametrize("login", ["basic", "bearer"])
def test_logins(real, make, tmp_path, login):
    real.push("fleet/web", "1.0.0", FILES)
    with Gate.before(real.host, login=login) as gate:
        right = access(gate.host, docker_configs=(config(gate.host),))
        assert pulled(make(), right, tmp_path) == FILES
        if login == "bearer":
            assert gate.asked == [{"service": ["the registry"], "scope": ["repository:fleet/web:pull"]}]
        wrong = access(gate.host, docker_configs=(config(gate.host, password=SECRET),))
        refused(make(), wrong, tmp_path, "refuses")
        refused(make(), access(gate.host, docker_configs=()), tmp_path, "refuses")


def test_a_token_that_expires_is_renewed(real, oci, tmp_path):
    real.push("fleet/web", "1.0.0", FILES)
    with Gate.before(real.host, login="bearer", uses=1) as gate:
        where = access(gate.host, docker_configs=(config(gate.host),))
        assert pulled(oci, where, tmp_path) == FILES  # a manifest, and a blob
        assert len(gate.asked) == 2


def test_the_login_of_docker_on_this_machine(real, make, tmp_path, no_login_of_this_machine):
    real.push("fleet/web", "1.0.0", FILES)
    with Gate.before(real.host, login="basic") as gate:
        refused(make(), access(gate.host), tmp_path, "refuses")
        (no_login_of_this_machine / "config.json").write_text(config(f"https://{gate.host}/v2/"))
        assert pulled(make(), access(gate.host), tmp_path) == FILES


def test_a_credential_helper_runs_in_deploys_only(
    real, make, tmp_path, monkeypatch, no_login_of_this_machine
):
    real.push("fleet/web", "1.0.0", FILES)
    helper = tmp_path / "bin" / "docker-credential-test"
    helper.parent.mkdir()
    answer = json.dumps({"Username": USER, "Secret": PASSWORD})
    helper.write_text(f"#!/bin/sh\ncat > {tmp_path}/asked\necho '{answer}'\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{helper.parent}:/usr/bin:/bin")
    with Gate.before(real.host, login="basic") as gate:
        helpers = {"credHelpers": {gate.host: "test"}}
        (no_login_of_this_machine / "config.json").write_text(json.dumps(helpers))
        refused(make(helpers=False), access(gate.host), tmp_path, "refuses")
        assert not (tmp_path / "asked").exists()
        assert pulled(make(helpers=True), access(gate.host), tmp_path) == FILES
        assert (tmp_path / "asked").read_text() == gate.host
        both = {**helpers, **json.loads(config(gate.host))}  # what the file itself has, a preview may use
        (no_login_of_this_machine / "config.json").write_text(json.dumps(both))
        assert pulled(make(helpers=False), access(gate.host), tmp_path) == FILES
        (no_login_of_this_machine / "config.json").write_text('{"credsStore": "../../bin/sh"}')
        refused(make(helpers=True), access(gate.host), tmp_path, "cannot be a program's name")


def test_a_blob_may_be_elsewhere_but_the_login_stays_here(real, oci, tmp_path):
    real.push("fleet/web", "1.0.0", FILES)
    with Gate.before(real.host) as store, Gate.before(real.host, login="basic") as gate:

        def redirect(path):
            return {"Location": f"http://{store.host}{path}?signature={SECRET}"}

        where = access(gate.host, docker_configs=(config(gate.host),))
        digest = blob_digest(FILES)
        gate.rules.append(Rule(digest, 307, redirect(f"/v2/fleet/web/blobs/{digest}")))
        assert pulled(oci, where, tmp_path) == FILES
        assert any("authorization" in headers for _, headers in gate.seen)
        assert [headers.get("authorization") for _, headers in store.seen] == [None]


def blob_digest(files):
    return f"sha256:{hashlib.sha256(packed(files)).hexdigest()}"


@pytest.mark.parametrize("cause", ["reset", "cut", "busy", "asked to wait"])
def test_what_passes_is_tried_again(real, oci, tmp_path, cause):
    real.push("fleet/web", "1.0.0", FILES)
    rule = {
        "reset": Rule("/blobs/", reset=True, times=2),
        "cut": Rule("/blobs/", cut=10, times=2),
        "busy": Rule("/blobs/", 503, times=2),
        "asked to wait": Rule("/manifests/", 429, {"Retry-After": "0"}, times=2),
    }[cause]
    with Gate.before(real.host, rules=[rule]) as gate:
        assert pulled(oci, access(gate.host), tmp_path) == FILES
        assert sum(rule.part in path for path in gate.paths()) == 3


def test_what_does_not_pass_ends(real, oci, tmp_path):
    real.push("fleet/web", "1.0.0", FILES)
    with Gate.before(real.host, rules=[Rule("/blobs/", cut=10)]) as gate:
        refused(oci, access(gate.host), tmp_path, "cut the (answer short|connection)")
        assert sum("/blobs/" in path for path in gate.paths()) == 4


def test_what_is_not_what_its_digest_says_is_refused(real, make, tmp_path):
    digest = real.push("fleet/web", "1.0.0", FILES)
    with Gate.before(real.host, rules=[Rule("/blobs/", change=lambda body: body[::-1])]) as gate:
        refused(make(), access(gate.host), tmp_path, "what has the digest")
        assert [*tmp_path.glob("cache/*/*")] == []  # nothing of it is kept
        gate.rules[:] = [Rule("/manifests/", change=lambda body: body + b" ")]
        refused(make(), access(gate.host), tmp_path, "a manifest that is not what it says")
        with pytest.raises(SourceError, match="a manifest whose digest is"):
            make().pull(access(gate.host), digest, Layer(), tmp_path / "nowhere")


def test_headers_without_an_end(real, oci, tmp_path):
    with Gate.before(real.host, rules=[Rule("", drip=True)]) as gate:
        # The scheme is known, so that the one request that drips is the one that is waited for.
        where = access(gate.host, insecure=True, timeout=1.0)
        refused(oci, where, tmp_path, "did not answer|cannot be reached|cut the connection")


def test_who_waits_for_an_answer_hears_of_an_interrupt(real, oci):
    with Gate.before(real.host, rules=[Rule("", drip=True)]) as gate:
        where = access(gate.host, timeout=3600.0)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(oci.digest, where, "1.0.0")
            wait_until(lambda: gate.seen, "the registry is asked")
            oci.cancel()
            assert isinstance(waiting.exception(timeout=60), SourceError)


def test_an_answer_that_is_too_large(real, make, tmp_path):
    real.push("fleet/large", "1.0.0", {"a": "x" * 5000})
    where = access(real.host, "fleet/large")
    refused(make(limits=Limits(bytes=1000)), where, tmp_path, "more than 0 MiB when it is unpacked")
    refused(make(limits=Limits(bytes=10)), where, tmp_path, "layer has .* bytes, more than 10")
    for unannounced in (False, True):
        rule = Rule("/manifests/", 200, {}, b"x" * (5 << 20), unannounced=unannounced)
        with Gate.before(real.host, rules=[rule]) as gate:
            refused(make(), access(gate.host), tmp_path, "answers more than 4,194,304 bytes")


def test_an_artifact_of_300_megabytes(real, oci, tmp_path):
    plain = gzip.compress(bytes(300 << 20), 1, mtime=0)
    real.push_layers("fleet/huge", "1.0.0", [(LAYER, plain)])
    refused(oci, access(real.host, "fleet/huge"), tmp_path, "more than 256 MiB when it is unpacked")


# --- where a preview does not go -------------------------------------------------------------------------


def test_a_preview_does_not_ask_this_machine(real, make, tmp_path):
    with Gate.before(real.host) as gate:
        error = refused(make(private=False), access(gate.host), tmp_path, "it is a loopback address")
        assert "--allow-private-network" in error.hint
        assert gate.seen == []


@pytest.mark.parametrize("target", ["169.254.169.254", "[fe80::1]", "100.100.100.200"])
def test_nobody_is_redirected_to_a_metadata_service(real, make, tmp_path, target):
    real.push("fleet/web", "1.0.0", FILES)
    with Gate.before(real.host, rules=[Rule("/blobs/", 302, {"Location": f"http://{target}/x"})]) as gate:
        refused(make(), access(gate.host), tmp_path, "is not reached from here")


class Outside:
    """A resolver of our own: names that the test makes up, and addresses that stand for the internet."""

    def __init__(self, policy, names):
        from runner.clients.network.resolve import Resolver

        self.inner, self.names = Resolver(policy), names

    def pinned(self, host, port):
        from runner.clients.network.resolve import Pinned

        if host in self.names:
            return Pinned(host, port, (self.names[host],))
        return self.inner.pinned(host, port)


def test_a_preview_is_not_redirected_to_this_machine(real, make, tmp_path):
    """The registry is at a public name; its redirect leads inside."""
    real.push("fleet/web", "1.0.0", FILES)
    with Gate.before(real.host) as inside, Gate.before(real.host) as gate:
        port = gate.host.partition(":")[2]
        host = f"registry.localhost:{port}"
        gate.rules.append(Rule("/blobs/", 307, {"Location": f"http://{inside.host}/v2/x"}))
        outside = Outside(Policy(), {"registry.localhost": "127.0.0.1"})
        refused(make(private=False, resolver=outside), access(host), tmp_path, "it is a loopback address")
        assert inside.seen == []
        assert any("/manifests/" in path for path in gate.paths())


def test_a_preview_goes_through_no_proxy_of_a_repository_that_is_inside(real, make, tmp_path):
    proxy = ProxyAccess("http://127.0.0.1:1", "me", SECRET)
    where = access("registry.example", proxy=proxy)
    refused(make(private=False), where, tmp_path, "127.0.0.1 is not reached from here")


def test_through_a_proxy(real, make, tmp_path):
    real.push("fleet/web", "1.0.0", FILES)
    with Gate.before(real.host, rules=[Rule("https", 400)]) as gate:
        where = access(real.host, proxy=ProxyAccess(f"http://{gate.host}", "me", SECRET), insecure=True)
        assert pulled(make(), where, tmp_path) == FILES
        assert any(path.startswith(f"http://{real.host}/v2/") for path in gate.paths())
        assert all("proxy-authorization" in headers for _, headers in gate.seen if headers)


def test_userinfo_is_never_shown(oci, tmp_path):
    with pytest.raises(UsageError) as caught:
        oci.digest(OciAccess("OCIRepository/apps/web", f"oci://me:{SECRET}@ghcr.io/x/y"), "1")
    assert SECRET not in caught.value.message


# --- what is in an archive -------------------------------------------------------------------------------

ABOVE, ABSOLUTE = entry("../x", tarfile.REGTYPE), entry("/etc/x", tarfile.REGTYPE)
HOSTILE = {
    "a name upwards": (ABOVE, "leads out of it"),
    "an absolute name": (ABSOLUTE, "leads out of it"),
    "a name upwards in the middle": (entry("a/../../x", tarfile.REGTYPE), "leads out of it"),
    "a backslash": (entry("a\\..\\x", tarfile.REGTYPE), "leads out of it"),
    "a hard link": (entry("x", tarfile.LNKTYPE, "/etc/passwd"), "neither a file nor a directory"),
    "a device": (entry("x", tarfile.CHRTYPE), "neither a file nor a directory"),
    "a pipe": (entry("x", tarfile.FIFOTYPE), "neither a file nor a directory"),
    "too deep": (entry("d/" * 70 + "x", tarfile.REGTYPE), "71 deep"),
    "a file where a directory is": (entry("apps", tarfile.REGTYPE), "cannot be unpacked"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives(real, oci, tmp_path, name):
    bad, match = HOSTILE[name]
    real.push_layers("fleet/hostile", "1.0.0", [(LAYER, packed(FILES, bad))])
    refused(oci, access(real.host, "fleet/hostile"), tmp_path, match)
    assert not (tmp_path / "x").exists()


def test_symbolic_links_are_left_out_and_nothing_is_written_through_them(real, oci, tmp_path):
    link, through = entry("out", tarfile.SYMTYPE, str(tmp_path)), entry("out/written", tarfile.REGTYPE)
    real.push_layers("fleet/links", "1.0.0", [(LAYER, packed(FILES, link, through))])
    where = access(real.host, "fleet/links")
    assert pulled(oci, where, tmp_path) == {**FILES, "out/written": ""}
    assert not (tmp_path / "written").exists()
    refused(oci, where, tmp_path, "the symbolic link 'out'", layer=Layer(copied=True))


def test_modes_are_ours_and_the_last_of_a_name_counts(real, oci, tmp_path):
    modes = entry("suid", tarfile.REGTYPE, mode=0o4755), entry("locked", tarfile.REGTYPE, mode=0)
    twice = entry("README.md", tarfile.REGTYPE)
    real.push_layers("fleet/modes", "1.0.0", [(LAYER, packed(FILES, *modes, twice))])
    where = access(real.host, "fleet/modes")
    target = tmp_path / "modes"
    target.mkdir()
    oci.pull(where, oci.digest(where, "1.0.0"), Layer(), target)
    found = {path.name: path.stat().st_mode & 0o7777 for path in target.iterdir() if path.is_file()}
    assert found == {"README.md": 0o644, "suid": 0o755, "locked": 0o644}
    assert (target / "README.md").read_text() == ""


@pytest.mark.parametrize("cut", [100, 700, 1500])
def test_damaged_archives(real, oci, tmp_path, cut):
    plain = bytearray(gzip.decompress(packed({**FILES, "last": "l"})))
    damaged = {100: gzip.compress(bytes(plain))[:100], 700: gzip.compress(bytes(plain[:700]))}
    plain[1024:1100] = b"\xff" * 76  # the second header
    content = damaged.get(cut, gzip.compress(bytes(plain)))
    real.push_layers("fleet/damaged", "1.0.0", [(LAYER, content)])
    refused(oci, access(real.host, "fleet/damaged"), tmp_path, "damaged")
    real.push_layers("fleet/damaged", "plain", [(LAYER, bytes(plain))])
    refused(oci, access(real.host, "fleet/damaged"), tmp_path, "compressed with gzip", tag="plain")


def test_too_many_entries(real, make, tmp_path):
    real.push("fleet/many", "1.0.0", {f"f{n}": "" for n in range(20)})
    where = access(real.host, "fleet/many")
    refused(make(limits=Limits(entries=10)), where, tmp_path, "more than 10 entries")


# --- what is kept ----------------------------------------------------------------------------------------


def test_a_blob_is_fetched_once_and_checked_each_time(real, make, tmp_path):
    real.push("fleet/web", "1.0.0", FILES)
    with Gate.before(real.host) as gate:

        def blobs():
            return sum("/blobs/" in path for path in gate.paths())

        for _ in range(2):
            assert pulled(make(), access(gate.host), tmp_path) == FILES
        assert blobs() == 1
        (kept,) = tmp_path.glob("cache/*/*")
        kept.write_bytes(packed({"evil": "x"}))
        assert pulled(make(), access(gate.host), tmp_path) == FILES
        assert blobs() == 2


def test_another_repository_does_not_find_it(real, make, tmp_path):
    """To know a digest is no right to read it: that is for the registry to say."""
    real.push("fleet/private", "1.0.0", FILES)
    real.push("fleet/public", "1.0.0", FILES)
    with Gate.before(real.host) as gate:
        for path in ("fleet/private", "fleet/public"):
            assert pulled(make(), access(gate.host, path), tmp_path) == FILES
        assert sum("/blobs/" in path for path in gate.paths()) == 2


def test_what_is_kept_has_limits(tmp_path):
    kept = KeptContent(tmp_path / "kept", limit=250)
    digests = [f"sha256:{hashlib.sha256(bytes([n]) * 100).hexdigest()}" for n in range(4)]
    for number, digest in enumerate(digests):
        kept.put("o", digest, io.BytesIO(bytes([number]) * 100))
    with kept.open("o", digests[3]) as found:
        assert found.read() == bytes([3]) * 100
    kept.tidy()
    assert sum(path.stat().st_size for path in tmp_path.glob("kept/*/*")) == 200
    KeptContent(tmp_path / "kept", lifetime=-1.0).tidy()
    assert [*tmp_path.glob("kept/*/*")] == []


def test_runs_at_once_share_it(real, make, tmp_path):
    real.push("fleet/web", "1.0.0", FILES)
    start = threading.Barrier(4)

    def run(number):
        start.wait()
        target = tmp_path / f"at-once-{number}"
        target.mkdir()
        oci, where = make(), access(real.host)
        oci.pull(where, oci.digest(where, "1.0.0"), Layer(), target)
        return (target / "README.md").read_text()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(run, range(4))) == {"read me\n"}
    assert [path.suffix for path in tmp_path.glob("cache/*/*")] == [""]


# --- encrypted connections -------------------------------------------------------------------------------

NAME = "kubernetes.default.svc"  # a name that the certificate has, and 127.0.0.1


@pytest.fixture(scope="module")
def authority():
    return Authority.create()


def serving(authority, tmp_path, *, client=False):
    """A server's side; its certificate is also for 127.0.0.1."""
    made = authority.server()
    pair = tmp_path / "server.pem"
    pair.write_bytes(made.certificate + b"\n" + made.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    if client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=authority.credential.certificate.decode())
    return context


def named(make, **options):
    """A client for which the name of the certificate is this machine, and a public one."""
    names = {NAME: "127.0.0.1", "other.test": "127.0.0.1"}
    return make(private=False, resolver=Outside(Policy(), names), **options)


def test_an_encrypted_registry_is_known_by_its_name_not_its_address(real, make, tmp_path, authority):
    real.push("fleet/web", "1.0.0", FILES)
    ca = Certificates(named=True, ca=authority.credential.certificate.decode())
    with Gate.before(real.host, tls=serving(authority, tmp_path)) as gate:
        host = f"{NAME}:{gate.host.partition(':')[2]}"
        assert pulled(named(make), access(host, certificates=ca), tmp_path) == FILES
        assert {headers["host"] for _, headers in gate.seen} == {host}
        error = refused(named(make), access(host), tmp_path, "cannot be trusted")
        assert "SSL_CERT_FILE" in error.hint
        # Flux checks no certificate of an insecure registry without certSecretRef, and does with one.
        assert pulled(named(make), access(host, insecure=True), tmp_path) == FILES
        asked = len(gate.seen)
        other = f"other.test:{gate.host.partition(':')[2]}"
        refused(named(make), access(other, certificates=ca), tmp_path, "cannot be trusted")
        assert len(gate.seen) == asked


def test_a_registry_that_hangs_up_in_the_handshake_is_asked_again(real, make, tmp_path, authority):
    real.push("fleet/web", "1.0.0", FILES)
    ca = Certificates(named=True, ca=authority.credential.certificate.decode())
    with (
        Gate.before(real.host, tls=serving(authority, tmp_path)) as gate,
        Relay(f"https://{gate.host}") as relay,
    ):
        host = f"{NAME}:{relay.address.partition(':')[2]}"
        relay.hang_up(1)
        assert pulled(named(make), access(host, certificates=ca), tmp_path) == FILES


def test_the_machines_own_authorities(real, make, tmp_path, authority, monkeypatch):
    real.push("fleet/web", "1.0.0", FILES)
    (tmp_path / "ca.pem").write_bytes(authority.credential.certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with Gate.before(real.host, tls=serving(authority, tmp_path)) as gate:
        host = f"{NAME}:{gate.host.partition(':')[2]}"
        assert pulled(named(make), access(host), tmp_path) == FILES


def test_a_client_certificate(real, make, tmp_path, authority):
    real.push("fleet/web", "1.0.0", FILES)
    ca = authority.credential.certificate.decode()
    mine = authority.client("robot")
    certificates = Certificates(
        named=True, ca=ca, certificate=mine.certificate.decode(), key=mine.key.decode()
    )
    with Gate.before(real.host, tls=serving(authority, tmp_path, client=True)) as gate:
        host = f"{NAME}:{gate.host.partition(':')[2]}"
        assert pulled(named(make), access(host, certificates=certificates), tmp_path) == FILES
        anonymous = Certificates(named=True, ca=ca)
        refused(named(make), access(host, certificates=anonymous), tmp_path, "cut the connection|trusted")
    wrong = Certificates(named=True, ca=ca, certificate="no", key=SECRET)
    refused(named(make), access(NAME, certificates=wrong), tmp_path, "cannot be used")


def test_from_encrypted_to_plain_is_no_redirect(real, make, tmp_path, authority):
    real.push("fleet/web", "1.0.0", FILES)
    ca = Certificates(named=True, ca=authority.credential.certificate.decode())
    rule = Rule("/blobs/", 302, {"Location": f"http://{NAME}/x"})
    with Gate.before(real.host, tls=serving(authority, tmp_path), rules=[rule]) as gate:
        host = f"{NAME}:{gate.host.partition(':')[2]}"
        refused(named(make), access(host, certificates=ca), tmp_path, "which is not encrypted")


def test_through_a_proxy_of_the_environment(real, make, tmp_path, authority, monkeypatch):
    """The tunnel goes to the name; whether a literal address may be reached is decided here."""
    real.push("fleet/web", "1.0.0", FILES)
    ca = Certificates(named=True, ca=authority.credential.certificate.decode())
    with (
        Gate.before(real.host, tls=serving(authority, tmp_path)) as gate,
        Gate.before(gate.host) as proxy,
    ):
        monkeypatch.setenv("https_proxy", f"http://me:{SECRET}@{proxy.host}")
        assert pulled(make(private=False), access(NAME, certificates=ca), tmp_path) == FILES
        assert set(proxy.tunnels) == {f"{NAME}:443"}
        assert all(headers["proxy-authorization"].startswith("Basic ") for _, headers in proxy.seen)
        refused(make(private=False), access("10.1.2.3"), tmp_path, "it is a private address")
        assert set(proxy.tunnels) == {f"{NAME}:443"}
        monkeypatch.setenv("no_proxy", NAME)
        refused(make(private=False), access(NAME, certificates=ca), tmp_path, "cannot be resolved")
