"""Cut GitHub's OpenAPI description down to the requests that kustodian sends.

    npm pack @octokit/openapi@23.0.2 && tar -xzf octokit-openapi-*.tgz
    python -m tests.fakes.github.trim package/generated/api.github.com.json

What is left are JSON Schemas: of every parameter, body and answer, with all that they refer to.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

SLICE = Path(__file__).parent / "openapi.json"
REPO = "/repos/{owner}/{repo}"
OPERATIONS = (
    f"GET {REPO}",
    f"GET {REPO}/pulls/{{pull_number}}",
    f"GET {REPO}/issues/{{issue_number}}/comments",
    f"POST {REPO}/issues/{{issue_number}}/comments",
    f"PATCH {REPO}/issues/comments/{{comment_id}}",
    f"GET {REPO}/issues",
    f"POST {REPO}/issues",
    f"PATCH {REPO}/issues/{{issue_number}}",
    f"POST {REPO}/check-runs",
    f"GET {REPO}/check-runs/{{check_run_id}}",
    f"PATCH {REPO}/check-runs/{{check_run_id}}",
    f"GET {REPO}/commits/{{ref}}/check-runs",
    f"GET {REPO}/commits/{{ref}}/status",
    f"POST {REPO}/statuses/{{sha}}",
    f"GET {REPO}/commits/{{commit_sha}}/pulls",
    f"GET {REPO}/compare/{{basehead}}",
)
PROSE = {"description", "summary", "example", "examples", "externalDocs", "title", "deprecated", "default"}
ERROR = "#/components/schemas/basic-error"


class Trimmer:
    """Collects the schemas that others refer to."""

    def __init__(self, description):
        self.description = description
        self.schemas = {}

    def operation(self, name):
        method, path = name.split(" ")
        found = self.description["paths"][path][method.lower()]
        body = self.resolve(found.get("requestBody", {}))
        return {
            "parameters": [
                {
                    "name": each["name"],
                    "in": each["in"],
                    "required": each.get("required", False),
                    "schema": self.schema(each["schema"]),
                }
                for each in map(self.resolve, found["parameters"])
            ],
            "request": self.content(body),
            "responses": {
                code: self.content(self.resolve(response)) for code, response in found["responses"].items()
            },
        }

    def content(self, holder):
        for kind, media in holder.get("content", {}).items():
            if kind.endswith("json"):
                return self.schema(media["schema"])
        return None

    def resolve(self, node):
        while "$ref" in node:
            target = self.description
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            node = target
        return node

    def schema(self, node):
        """Without prose; what may be null says so as JSON Schema does."""
        if isinstance(node, list):
            return [self.schema(each) for each in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return self.reference(node["$ref"])
        kept = {
            key: {name: self.schema(each) for name, each in value.items()}
            if key == "properties"
            else self.schema(value)
            for key, value in node.items()
            if key not in PROSE | {"nullable"} and not key.startswith("x-")
        }
        return {"anyOf": [{"type": "null"}, kept]} if node.get("nullable") else kept

    def reference(self, ref):
        name = ref.rpartition("/")[2]
        if name not in self.schemas:
            self.schemas[name] = {}  # before its content: schemas refer to themselves
            self.schemas[name] = self.schema(self.resolve({"$ref": ref}))
        return {"$ref": ref}


def main(source):
    description = json.loads(Path(source).read_bytes())
    trimmer = Trimmer(description)
    operations = {name: trimmer.operation(name) for name in OPERATIONS}
    trimmer.reference(ERROR)
    about = {key: description["info"][key] for key in ("title", "version", "license")}
    parts = [
        f'"info": {json.dumps(about)}',
        f'"operations": {lines(operations)}',
        f'"components": {{"schemas": {lines(trimmer.schemas)}}}',
    ]
    SLICE.write_text("{" + ",\n".join(parts) + "}\n")


def lines(entries):
    """One line for each: a change of one can be read in a diff."""
    each = (
        f"{json.dumps(key)}: {json.dumps(value, sort_keys=True)}" for key, value in sorted(entries.items())
    )
    return "{\n" + ",\n".join(each) + "\n}"


if __name__ == "__main__":
    main(sys.argv[1])
