"""The Kubernetes API server behind the `Cluster` port."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace as changed
from http import HTTPStatus
from typing import Any

import orjson

from runner.clients.kubernetes import failures, listing, paths, watching
from runner.clients.kubernetes.body import as_yaml
from runner.clients.kubernetes.discovery import Discovery
from runner.clients.kubernetes.failures import Reply
from runner.clients.kubernetes.retries import Lost, Policy
from runner.clients.kubernetes.transport import Request, Stream, Transport
from runner.errors import ClusterError, NotServed, Refused
from runner.model import FIELD_MANAGER, Manifest, ResourceRef
from runner.ports import Api, Applied, Listing, WatchEvent

APPLY_PATCH = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
LOG_BYTES = 65_536
MERGE_PATCH = "application/merge-patch+json"


class KubernetesCluster:
    """One API server; any number of threads may use it at once."""

    def __init__(
        self,
        transport: Transport,
        *,
        context: str = "",
        discovery: Discovery | None = None,
        fence: Callable[[], float] | None = None,
        impatient: bool = False,
        acting: str = "",
    ) -> None:
        self._transport = transport
        self._context = context
        self._discovery = discovery or Discovery(transport)
        self._fence = fence
        self._impatient = impatient
        self._acting = acting

    @property
    def server(self) -> str:
        return self._transport.server

    @property
    def context(self) -> str:
        """The kubeconfig's context, "" inside a pod."""
        return self._context

    @property
    def requests(self) -> Mapping[str, int]:
        return self._transport.counts

    def cancel(self) -> None:
        """End waits between attempts and all watches, now and from now on; requests are still sent, once.

        So a run that is interrupted can give its lock back; a few seconds later whatever is under way is cut,
        and nothing is sent any more. From any thread, any number of times.
        """
        self._transport.cancel()

    def close(self) -> None:
        """Cancel, and close the connections."""
        self._transport.close()

    def fenced(self, before_write: Callable[[], float]) -> KubernetesCluster:
        return self._view(fence=before_write)

    def impatient(self) -> KubernetesCluster:
        """The same server without retries, for callers that come again by themselves."""
        return self._view(impatient=True)

    def acting_as(self, user: str) -> KubernetesCluster:
        return self._view(acting=user)

    def version(self) -> str:
        reply = self._transport.send(self._sent(Request("GET", "/version", "GET")))
        return str(self._object(reply, "server version").get("gitVersion") or "")

    def api(self, group: str, kind: str, version: str = "") -> Api | None:
        return self._discovery.find(group, kind, version)

    def apis(self) -> Sequence[Api]:
        return [versions[0] for _, versions in sorted(self._discovery.served().kinds.items())]

    def rediscover(self) -> None:
        self._discovery.forget()

    def get(self, ref: ResourceRef) -> Manifest | None:
        path = self._path(ref, self._served(ref, str(ref)))
        if path is None:
            return None  # nothing can have such a name
        what = f"{ref} get failed"
        reply = self._exchange(Request("GET", path, "GET"), what)
        if reply.code == HTTPStatus.NOT_FOUND:
            return None
        return self._object(reply, what)

    def list(  # noqa: PLR0913 -- each is a question of its own to the server
        self,
        group: str,
        kind: str,
        *,
        namespace: str = "",
        selector: str = "",
        fields: str = "",
        metadata_only: bool = False,
        most: int = 0,
    ) -> Listing:
        """As the port says; `metadata_only` leaves everything else out of the objects."""
        what = f"{kind} list failed" + (f" in namespace {namespace}" if namespace else "")
        api = self._served_kind(group, kind, what)
        chosen = {"labelSelector": selector, "fieldSelector": fields}
        query = {key: value for key, value in chosen.items() if value}
        accept = listing.METADATA_LIST if metadata_only else "application/json"
        request = Request("GET", self._collection(api, namespace, what), "LIST", query, accept=accept)
        return listing.complete(
            request, api, lambda chunk: self._exchange(chunk, what), self._refusing(what), most
        )

    def logs(self, ref: ResourceRef, container: str, *, previous: bool, lines: int) -> str:
        """As the port says. The limit counts from the first of the lines: the last one may be half a line."""
        what = f"{ref} log of {container} failed"
        query: dict[str, str | int] = {"container": container, "tailLines": lines, "limitBytes": LOG_BYTES}
        query |= {"previous": "true"} if previous else {}
        path = f"{self._existing(ref, what)}/log"
        reply = self._exchange(Request("GET", path, "GET", query, policy=Policy.NEVER), what)
        if not reply.ok:
            raise self._refusing(what)(reply)
        log = reply.body.decode(errors="replace")
        return log if len(reply.body) < LOG_BYTES else log.rpartition("\n")[0]

    def watch(
        self, group: str, kind: str, *, resource_version: str, namespace: str = "", selector: str = ""
    ) -> AbstractContextManager[Iterator[WatchEvent]]:
        """As the port says. A stream that is cut ends like one that the server ends: watch again.

        Nothing is lost by that, as the next watch starts at the last version that was seen.
        """
        what = f"{kind} watch failed" + (f" in namespace {namespace}" if namespace else "")
        api = self._served_kind(group, kind, what)
        query = listing.watch_query(resource_version, selector)
        return self._watch(Request("GET", self._collection(api, namespace, what), "WATCH", query), what)

    def apply(self, manifest: Manifest, *, dry_run: bool = False) -> Applied:
        ref = ResourceRef.of(manifest)
        path, body = self._target(ref, manifest)
        query = {"fieldManager": FIELD_MANAGER, "force": "true", "fieldValidation": "Warn"}
        if dry_run:
            query["dryRun"] = "All"
        request = Request(
            "PATCH",
            path,
            "DRYRUN" if dry_run else "PATCH",
            query,
            body,
            APPLY_PATCH,
            fence=None if dry_run else self._fence,
        )
        what = f"{ref} dry-run failed" if dry_run else f"{ref} apply failed"
        reply = self._exchange(request, what)
        private = failures.private_values(manifest)
        if dry_run and reply.code == HTTPStatus.NOT_FOUND:
            text = (
                failures.shown(failures.Status.read(reply.body), private)
                or "the server does not know its path"
            )
            raise Refused(f"{ref} not found: {text}", code=reply.code, reason="NotFound")
        made = self._object(reply, what, private)
        return Applied(made, reply.warnings, created=reply.code == HTTPStatus.CREATED)

    def patch(self, ref: ResourceRef, operations: Sequence[Mapping[str, object]]) -> Manifest:
        what = f"{ref} patch failed"
        private = tuple(failures.leaves([o.get("value") for o in operations])) if ref.kind == "Secret" else ()
        path = self._existing(ref, what)
        body = orjson.dumps([dict(operation) for operation in operations])
        return self._write(Request("PATCH", path, "PATCH", {}, body, JSON_PATCH), what, private)

    def patch_status(
        self, ref: ResourceRef, status: Mapping[str, object], *, manager: str, version: str
    ) -> None:
        what = f"{ref} status patch failed"
        path = f"{self._existing(ref, what)}/status"
        body = orjson.dumps({"metadata": {"resourceVersion": version}, "status": dict(status)})
        self._write(Request("PATCH", path, "PATCH", {"fieldManager": manager}, body, MERGE_PATCH), what)

    def create(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        ref = ResourceRef.of(manifest)
        path, body = self._target(ref, manifest)
        place, private = path.rpartition("/")[0], failures.private_values(manifest)
        if dry_run:
            what = f"{ref} dry-run of its creation failed"
            tried = Request("POST", place, "DRYRUN", {"dryRun": "All"}, body)
            return self._object(self._exchange(tried, what), what, private)
        return self._write(Request("POST", place, "POST", {}, body), f"{ref} create failed", private)

    def replace(self, manifest: Manifest) -> Manifest:
        ref = ResourceRef.of(manifest)
        path, body = self._target(ref, manifest)
        return self._write(
            Request("PUT", path, "PUT", {}, body), f"{ref} replace failed", failures.private_values(manifest)
        )

    def delete(self, ref: ResourceRef, *, uid: str) -> None:
        path = self._path(ref, self._served(ref, str(ref)))
        if path is None:
            return
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": uid},  # which makes a second DELETE harmless, so it may be repeated
        }
        what = f"{ref} delete failed"
        request = Request("DELETE", path, "DELETE", {}, orjson.dumps(options), fence=self._fence)
        reply = self._exchange(request, what)
        if not reply.ok and reply.code != HTTPStatus.NOT_FOUND:
            raise self._refusing(what)(reply)

    def _view(
        self, *, fence: Callable[[], float] | None = None, impatient: bool = False, acting: str = ""
    ) -> KubernetesCluster:
        """The same with what is given; what the server serves is asked once, as the run itself."""
        return KubernetesCluster(
            self._transport,
            context=self._context,
            discovery=self._discovery,
            fence=fence or self._fence,
            impatient=impatient or self._impatient,
            acting=acting or self._acting,
        )

    @contextmanager
    def _watch(self, request: Request, what: str) -> Iterator[Iterator[WatchEvent]]:
        with self._transport.stream(self._sent(request)) as stream:
            if not isinstance(stream, Stream):
                raise self._refusing(what)(stream)
            yield watching.events(stream.lines(), what)

    def _write(self, request: Request, what: str, private: Sequence[str] = ()) -> Manifest:
        once = changed(request, policy=Policy.ONCE, fence=self._fence)
        return self._object(self._exchange(once, what), what, private)

    def _exchange(self, request: Request, what: str) -> Reply:
        try:
            return self._transport.send(self._sent(request))
        except Lost as error:
            raise ClusterError(f"{what}: {error.message}", hint=error.hint) from None

    def _sent(self, request: Request) -> Request:
        policy = Policy.NEVER if self._impatient else request.policy
        if (policy, self._acting) == (request.policy, request.acting):
            return request
        return changed(request, policy=policy, acting=self._acting)

    def _object(self, reply: Reply, what: str, private: Sequence[str] = ()) -> Manifest:
        if not reply.ok:
            raise failures.refusal(reply, what, server=self.server, private=private, acting=self._acting)
        return failures.object_in(reply.body, what)

    def _refusing(self, what: str) -> Callable[[Reply], ClusterError]:
        return lambda reply: failures.refusal(reply, what, server=self.server, acting=self._acting)

    def _served(self, ref: ResourceRef, what: str) -> Api:
        """How an object is served, in whatever version."""
        return self._served_kind(ref.group, ref.kind, what, ref.version)

    def _served_kind(self, group: str, kind: str, what: str, version: str = "") -> Api:
        api = self.api(group, kind, version)
        if api is None:
            raise self._not_served(group, kind, version, what)
        return api

    def _not_served(self, group: str, kind: str, version: str, what: str) -> NotServed:
        api_version = "/".join(filter(None, (group, version)))
        hint = ""
        if group in self._discovery.served().unavailable:
            hint = f"the server behind the API group {group} does not answer now"
        where = f' in version "{api_version}"' if version else f' in group "{group}"'
        return NotServed(f'{what}: no matches for kind "{kind}"{where}', reason="NotFound", hint=hint)

    def _target(self, ref: ResourceRef, manifest: Manifest) -> tuple[str, bytes]:
        """Where a manifest goes and what is sent there. Raises NotServed when not in its own version."""
        api = self.api(ref.group, ref.kind, ref.version)
        if api is None or api.version != ref.version:
            raise self._not_served(ref.group, ref.kind, ref.version, str(ref))
        body: dict[str, Any] = dict(manifest)
        if not api.namespaced and ref.namespace:
            body["metadata"] = {key: value for key, value in body["metadata"].items() if key != "namespace"}
        return self._addressed(ref, api, str(ref)), as_yaml(body)

    def _existing(self, ref: ResourceRef, what: str) -> str:
        return self._addressed(ref, self._served(ref, str(ref)), what)

    def _addressed(self, ref: ResourceRef, api: Api, what: str) -> str:
        path = self._path(ref, api)
        if path is not None:
            return path
        if api.namespaced and not ref.namespace:
            text = f"{ref} namespace not specified: the server could not find the requested resource"
            raise Refused(text, code=HTTPStatus.NOT_FOUND, reason="NotFound")
        text = f"{what} (Invalid): its name or namespace cannot stand in a path"
        raise Refused(text, code=HTTPStatus.UNPROCESSABLE_ENTITY, reason="Invalid")

    def _path(self, ref: ResourceRef, api: Api) -> str | None:
        """The path of an object; None when there can be no such object."""
        names = (ref.namespace, ref.name) if api.namespaced else (ref.name,)
        return paths.single(api, ref.namespace, ref.name) if paths.addressable(*names) else None

    def _collection(self, api: Api, namespace: str, what: str) -> str:
        if namespace and not paths.addressable(namespace):
            raise Refused(f"{what} (Invalid): no such namespace name", code=422, reason="Invalid")
        return paths.collection(api, namespace)
