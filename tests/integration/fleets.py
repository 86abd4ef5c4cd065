"""Random small fleets with much of what real ones have, and random edits of their files."""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml
from hypothesis import strategies as st

ENTRY = "clusters/test"
NAMES = ("a", "b", "c", "d")
ROOT = "flux-system"

Files = Mapping[str, tuple[bytes, bool]]
"""Path → content, and whether it is executable."""

SWITCHES = (
    *("base", "component", "generator", "unhashed", "loose", "nested", "namespace", "prefix", "labels"),
    *("inline", "from", "optional", "suspended", "waits", "patched", "renames", "orphaned"),
)


def text(*documents: object) -> bytes:
    return "---\n".join(yaml.safe_dump(each, sort_keys=False) for each in documents).encode()


def config(name: str, namespace: str = "default", **data: object) -> dict:
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


@st.composite
def fleets(draw) -> dict[str, tuple[bytes, bool]]:
    """An entry with up to four Kustomizations below its root, the later ones maybe below earlier ones."""
    files: dict[str, bytes] = {
        "base/kustomization.yaml": text({"resources": ["shared.yaml"]}),
        "base/shared.yaml": text(config("shared", text="1")),
        "component/kustomization.yaml": text(
            {
                "apiVersion": "kustomize.config.k8s.io/v1alpha1",
                "kind": "Component",
                "commonAnnotations": {"x": "1"},
            }
        ),
        f"{ENTRY}/vars.yaml": text(config("vars", "flux-system", size="1", colour="blue")),
    }
    if draw(st.booleans()):
        root = kustomization(ROOT, f"./{ENTRY}", {})
        root["spec"]["patches"] = patches(draw, "root")
        files[f"{ENTRY}/root.yaml"] = text(root)
    names = NAMES[: draw(st.integers(1, len(NAMES)))]
    for number, name in enumerate(names):
        on = draw(st.sets(st.sampled_from(SWITCHES), max_size=7))
        above = draw(st.sampled_from(("", *names[:number])))
        files |= unit(draw, name, above, on, names[:number])
        listing(files, above, f"children/{name}.yaml")
    executable = draw(st.sets(st.sampled_from(sorted(files)), max_size=1))
    return {path: (content, path in executable) for path, content in files.items()}


def listing(files: dict[str, bytes], owner: str, resource: str) -> None:
    """Add to the kustomization file of a Kustomization, if it has one: else every file counts."""
    path = f"u/{owner}/kustomization.yaml"
    if path in files:
        kfile = yaml.safe_load(files[path])
        files[path] = text({**kfile, "resources": [*kfile["resources"], resource]})


def kustomization(name: str, path: str, spec: Mapping[str, object]) -> dict:
    source = {"kind": "GitRepository", "name": "flux-system"}
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": "flux-system"},
        "spec": {"interval": "10m", "path": path, "prune": True, "sourceRef": source, **spec},
    }


def patches(draw, owner: str) -> list[dict]:
    """A patch of every child; it may replace what the child itself patches."""
    field = draw(st.sampled_from(["timeout: 1m", "patches: []", "targetNamespace: one", "suspend: false"]))
    patch = f"apiVersion: {owner}/v1\nkind: Kustomization\nmetadata: {{name: x}}\nspec: {{{field}}}\n"
    return [{"patch": patch, "target": {"kind": "Kustomization", "labelSelector": "plain notin (true)"}}]


def unit(draw, name: str, above: str, on: set[str], earlier: tuple[str, ...]) -> dict[str, bytes]:
    """The files of one Kustomization; its own object is where the one above it renders it."""
    own, where = f"u/{name}", f"u/{above}/children" if above else ENTRY
    made = kustomization(name, f"./{own}", spec_of(draw, on, earlier))
    if "orphaned" in on:
        made["metadata"]["labels"] = {"plain": "true"}
    files = {f"{where}/{name}.yaml": text(made), f"{own}/app.yaml": text(app(name, on))}
    if "nested" in on:
        files[f"{own}/deep/down.yaml"] = text(config(f"{name}-down", text="1"))
    if "renames" in on:
        files[f"{own}/{name}-vars.yaml"] = text(config(f"{name}-vars", "flux-system", size="2"))
    if "loose" in on:
        return files  # a kustomization file is generated
    kfile: dict[str, object] = {"resources": ["app.yaml"]}
    if "base" in on:
        kfile["resources"] = ["app.yaml", "../../base"]
    if "renames" in on:
        kfile["resources"] = [*kfile["resources"], f"{name}-vars.yaml"]
    if "prefix" in on:
        kfile["namePrefix"] = f"{name}-"
    if "generator" in on:
        files[f"{own}/made.txt"] = b"# a comment that is content\n1\n"
        options = {"options": {"disableNameSuffixHash": True}} if "unhashed" in on else {}
        kfile["configMapGenerator"] = [{"name": f"{name}-made", "files": ["made.txt"], **options}]
    files[f"{own}/kustomization.yaml"] = text(kfile)
    return files


def app(name: str, on: set[str]) -> dict:
    if on & {"inline", "from", "optional"}:
        return config(f"{name}-app", text="${size:=0}", number=1)
    return config(f"{name}-app", text="1", number=1)


def spec_of(draw, on: set[str], earlier: tuple[str, ...]) -> dict[str, object]:
    spec: dict[str, object] = {}
    if "namespace" in on:
        spec["targetNamespace"] = "other"
    if "labels" in on:
        spec["commonMetadata"] = {"labels": {"team": "blue"}}
    if "component" in on:
        spec["components"] = ["../../component"]
    if "suspended" in on and draw(st.integers(0, 3)) == 0:
        spec["suspend"] = True
    if "patched" in on:
        spec["patches"] = patches(draw, "child")
    if "waits" in on and earlier:
        spec["dependsOn"] = [{"name": draw(st.sampled_from(earlier))}]
    sources = [{"kind": "ConfigMap", "name": "vars"}] if "from" in on else []
    if "optional" in on:
        name = draw(st.sampled_from(["only-the-cluster", *(f"{each}-vars" for each in earlier)]))
        sources.append({"kind": "ConfigMap", "name": name, "optional": True})
    post_build = {"substituteFrom": sources} if sources else {}
    if "inline" in on:
        post_build["substitute"] = {"size": "3"}
    return spec | ({"postBuild": post_build} if post_build else {})


@st.composite
def changes(draw) -> tuple[Files, Files]:
    """A fleet, and the same after one to three edits."""
    files = draw(fleets())
    changed = dict(files)
    for _ in range(draw(st.integers(1, 3))):
        if changed:
            EDITS[draw(st.sampled_from(sorted(EDITS)))](draw, changed)
    return files, changed


def some(draw, files: Files) -> str:
    return draw(st.sampled_from(sorted(files)))


def value(draw, files) -> None:
    """Another value somewhere, also one that Python takes for the same."""
    path = some(draw, files)
    content, executable = files[path]
    places = [match.span() for match in re.finditer(rb"\b(?:1|blue|2|app|other|10m|true)\b", content)]
    if places:
        start, end = draw(st.sampled_from(places))
        new = draw(st.sampled_from([b"1", b"2", b"true", b"1.0", b"false", b"vars", b"red", b"5m"]))
        files[path] = content[:start] + new + content[end:], executable


def add(draw, files) -> None:
    directory = draw(st.sampled_from(sorted({path.rpartition("/")[0] for path in files})))
    name = draw(st.sampled_from(["new.yaml", "new.txt", "kustomization.yml", "deep/new.yaml", "a b\n.yaml"]))
    content = {"kustomization.yml": b"resources: []\n", "new.txt": b"1\n"}.get(
        name, text(config("new", x="1"))
    )
    files.setdefault(f"{directory}/{name}".lstrip("/"), (content, False))


def delete(draw, files) -> None:
    del files[some(draw, files)]


def move(draw, files) -> None:
    """To another directory, another name, or both."""
    path, before = some(draw, files), len(files)
    directory, name = path.rpartition("/")[::2]
    if draw(st.booleans()):
        directory = draw(st.sampled_from(sorted({each.rpartition("/")[0] for each in files})))
    if draw(st.booleans()):
        name = draw(st.sampled_from(["moved.yaml", "moved.txt", "kustomization.yaml"]))
    files.setdefault(f"{directory}/{name}".lstrip("/"), files[path])
    if len(files) > before:
        del files[path]


def comment(draw, files) -> None:
    path = some(draw, files)
    content, executable = files[path]
    files[path] = b"# a word\n" + content, executable


def mode(draw, files) -> None:
    path = some(draw, files)
    files[path] = files[path][0], not files[path][1]


def ignore(draw, files) -> None:
    directory = draw(st.sampled_from(["", "u/a/", "u/", "base/"]))
    line = draw(st.sampled_from([b"app.yaml", b"*.txt", b"/deep", b"nothing", b"*-vars.yaml", b"new*"]))
    files[f"{directory}.sourceignore"] = line + b"\n", False


def broken(draw, files) -> None:
    path = some(draw, files)
    files[path] = files[path][0] + b"}: [\n", files[path][1]


EDITS = {each.__name__: each for each in (value, add, delete, move, comment, mode, ignore, broken)}
