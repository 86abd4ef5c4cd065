"""The text of a kubeconfig with everything in it, so that it can be copied anywhere."""

from __future__ import annotations

import base64
import json

from tests.cluster.certificates import Credential

CONTEXT = "kustodian-test"


def kubeconfig(server: str, authority: bytes, user: str, credential: Credential) -> str:
    """A kubeconfig with one context, which is the current one."""
    return f"""\
apiVersion: v1
kind: Config
current-context: {CONTEXT}
clusters:
  - name: {CONTEXT}
    cluster:
      server: {server}
      certificate-authority-data: {_base64(authority)}
users:
  - name: {json.dumps(user)}
    user:
      client-certificate-data: {_base64(credential.certificate)}
      client-key-data: {_base64(credential.key)}
contexts:
  - name: {CONTEXT}
    context:
      cluster: {CONTEXT}
      user: {json.dumps(user)}
"""


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
