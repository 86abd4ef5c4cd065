"""Evidence → findings: why objects are not healthy, in words a person can act on; pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from runner.health import signs
from runner.health.causes import CAUSES, Cause
from runner.health.evidence import Evidence, changed_at, happened_at, is_current, is_observed, uid
from runner.health.fields import text
from runner.health.signs import Sign
from runner.model import Finding, Health, Manifest, ResourceRef

MOST_FINDINGS = 5
"""How many causes are told of one object; the first ones are the most telling."""

LOG_LINES = 20
LOG_BYTES = 4096

_MESSAGE_LIMIT = 600
_FOREIGN = 4000  # characters of a foreign message that patterns are held against
_TRAILING = re.compile(r"[\s.:;,]+$")
_ABOUT = 40  # characters by which messages of one reason differ when they are about different things
_SECOND = 1.0  # what timestamps are cut to


@dataclass(frozen=True, slots=True)
class _Case:
    """What is known, and what of it may be said."""

    evidence: Evidence
    hide: Callable[[str], str]

    def explain(self, ref: ResourceRef, sign: Sign) -> _Told | None:
        words = {key: self.hide(value) for key, value in sign.words.items()}
        return _explain(ref, replace(sign, message=self.hide(sign.message)[:_FOREIGN], words=words))


class _Told(NamedTuple):
    cause: Cause
    finding: Finding

    def doubted(self) -> _Told:
        """The same, which ends no wait."""
        return self._replace(finding=replace(self.finding, grace=None))


def diagnose(
    healths: Iterable[Health], evidence: Evidence, hide: Callable[[str], str] = str
) -> tuple[Finding, ...]:
    """The findings, in the order of the objects; nothing where nothing is known.

    `hide` takes out of foreign text what nobody may see; it is asked before anything is cut.
    """
    return tuple(finding for health in healths for finding in _of(health, _Case(evidence, hide)))


def tail(log: str) -> tuple[str, ...]:
    """The end of a log: whole lines, as many as are worth reading."""
    kept: list[str] = []
    left = LOG_BYTES
    for line in reversed(log.rstrip().splitlines()[-LOG_LINES:]):
        left -= len(line.encode()) + 1
        if left < 0:
            break
        kept.append(line)
    return tuple(reversed(kept))


def _of(health: Health, case: _Case) -> list[Finding]:
    root = case.evidence.objects.get(health.ref)
    if root is None:
        return _chosen(case.explain(health.ref, sign) for sign in signs.of_absence(health))
    told = [*_told(health.ref, root, root, case)]
    for each in case.evidence.owned.get(health.ref, ()):
        told += _told(health.ref, root, each, case)
    return _chosen(told)


def _told(root_ref: ResourceRef, root: Manifest, each: Manifest, case: _Case) -> Iterator[_Told | None]:
    """What one object and its events say. What is over, or may be, ends no wait."""
    ref = root_ref if each is root else ResourceRef.of(each)
    for sign in signs.of_object(ref, each):
        told = case.explain(root_ref, sign)
        if told is not None and sign.container:
            log = case.evidence.logs.get((uid(each), sign.container), ())
            told = told._replace(finding=replace(told.finding, log=log))
        settled = is_observed(root) and is_observed(each) and _belongs(root, each)
        yield told if told is None or (settled and not sign.passing) else told.doubted()
    for event in _recent(each, case.evidence):
        told = case.explain(root_ref, signs.of_event(ref, each, event))
        yield told if told is None or is_observed(root) else told.doubted()


def _recent(manifest: Manifest, evidence: Evidence) -> list[Manifest]:
    """The events since an object was changed, the last one of each kind of trouble."""
    since = changed_at(manifest) - _SECOND
    found: dict[tuple[str, str], Manifest] = {}
    for event in sorted(evidence.events.get(uid(manifest), ()), key=happened_at, reverse=True):
        if happened_at(event) >= since:
            about = text(event, "message").partition(" probe ")[0][:_ABOUT]
            found.setdefault((text(event, "reason"), about), event)
    return list(found.values())


def _belongs(root: Manifest, each: Manifest) -> bool:
    return each is root or each.get("kind") != "Pod" or is_current(root, each)


def _explain(ref: ResourceRef, sign: Sign) -> _Told | None:
    for cause in CAUSES:
        match = cause.fits(sign.place, sign.kind, sign.reason, sign.message)
        if match is None:
            continue
        words = _Words(sign.words)
        words |= {"reason": sign.reason, "message": _plain(sign.message) or sign.reason}
        words |= {key: _plain(value or "") for key, value in match.groupdict().items()}
        if "source" in match.groupdict():
            words["source"] = _KINDS.get(match["source"], match["source"])
        told = _plain(cause.text.format_map(words))
        code = cause.code.format_map(words)
        return _Told(cause, Finding(ref, sign.subject, code, told, cause.hint, grace=cause.grace))
    return None


def _chosen(told: Iterable[_Told | None]) -> list[Finding]:
    """Each cause once, with how many show it; what says little only where nothing says more."""
    found: dict[tuple[str, str], _Told] = {}
    for each in told:
        if each is None:
            continue
        key = each.finding.code, each.finding.message
        if key in found:
            first = found[key].finding
            if each.finding.subject != first.subject:
                found[key] = found[key]._replace(finding=replace(first, more=first.more + 1))
        else:
            found[key] = each
    telling = [each for each in found.values() if not each.cause.fallback] or list(found.values())
    return [each.finding for each in telling[:MOST_FINDINGS]]


def _plain(message: str) -> str:
    """One line without the end that joins badly with what follows."""
    flat = _TRAILING.sub("", " ".join(message.split()))
    return flat if len(flat) <= _MESSAGE_LIMIT else flat[: _MESSAGE_LIMIT - 1] + "…"


class _Words(dict[str, str]):
    """Words that a text may use; one that is missing is left out."""

    def __missing__(self, key: str) -> str:
        return _ABSENT.get(key, "")


_ABSENT: Mapping[str, str] = {"container": "a container"}
_KINDS: Mapping[str, str] = {"configmap": "ConfigMap", "config": "ConfigMap", "secret": "Secret"}
