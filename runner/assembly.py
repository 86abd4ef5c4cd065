"""The outside, put together for one run; both front doors use it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

from runner.clients.clock import SystemClock
from runner.clients.memory import DirectoryMemory
from runner.desired import Clients
from runner.errors import ClusterError, Interrupted, SourceError
from runner.options import Options
from runner.ports import Artifacts, Cluster, Downloads, Listener, Observer, Progress, Repositories

if TYPE_CHECKING:
    from runner.clients.kept import KeptContent
    from runner.clients.network import Resolver

PREFIX = "kustodian-run-"
MARKER = ".made-by-kustodian"  # in each directory of ours; without it nothing is swept, whatever its name
SETTLED = 60.0  # seconds; a directory that is younger may not have been locked yet
REQUESTS_AT_ONCE = 32
LAST_WORDS = 6.0  # seconds from a signal until the process ends, whatever hangs
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(slots=True)
class Stop:
    """Whether the run was told to end, and what has to hear of it."""

    stream: TextIO
    told: bool = False
    hooks: list[Callable[[], None]] = field(default_factory=list)

    def now(self) -> None:
        self.told = True
        for hook in self.hooks:
            hook()

    def asked(self) -> bool:
        return self.told


@contextmanager
def clients(
    options: Options, stream: TextIO, *, with_cluster: bool, live: bool | None = None, whole: bool = False
) -> Iterator[Clients]:
    """Everything a run needs, closed when it is over.

    Progress goes to `stream`: drawn on a terminal (`live`), as lines of a log, or (None) not at all.
    What is drawn is the `whole` table, or only what needs eyes.
    """
    from runner.clients.git import GitCheckout
    from runner.clients.kustomize import Decryptor, WorkerPool
    from runner.console import console

    clock = SystemClock()
    stop = Stop(stream)
    with ExitStack() as stack:
        stack.enter_context(_interruptible(stop))
        directory = stack.enter_context(workspace())
        repository = GitCheckout.open(options.repo, directory)
        listener: Listener = _silent
        if live is not None:
            listener = stack.enter_context(console(stream, clock, live=live, whole=whole))
        builder = stack.enter_context(WorkerPool())
        opener = stack.enter_context(Decryptor())
        pool = stack.enter_context(_pool())
        memory = _memory(options.cache, repository.identity) if options.cache is not None else None
        if memory is not None:
            stack.callback(memory.tidy)
        fetching = _Fetching(options, directory, stop, stack, with_cluster and not options.dry_run)
        yield Clients(
            repository=repository,
            builder=builder,
            clock=clock,
            pool=pool,
            listener=listener,
            directory=directory,
            opener=opener,
            memory=memory,
            fetch=fetching.fetch,
            clone=fetching.clone,
            download=fetching.download if fetching.deploys or options.allow_remote_bases else None,
            connect=_Connection(options, stop, stack) if with_cluster else None,
            reach=_Others(options, stop, stack).reach if with_cluster else None,
            cancel=stop.now,
            cancelled=stop.asked,
        )


@contextmanager
def connection(options: Options) -> Iterator[Cluster]:
    """The cluster alone, for commands that only look."""
    with reach(options) as (cluster, _):
        yield cluster


@contextmanager
def reach(options: Options) -> Iterator[tuple[Cluster, Observer]]:
    """The cluster, for commands that need no repository."""
    with ExitStack() as stack:
        yield _Connection(options, Stop(sys.stderr), stack)()


@dataclass(slots=True)
class _Connection:
    """The API server, connected to when it is first needed."""

    options: Options
    stop: Stop
    stack: ExitStack
    made: tuple[Cluster, Observer] | None = None
    mutex: Any = field(default_factory=threading.Lock)

    def __call__(self) -> tuple[Cluster, Observer]:
        with self.mutex:
            if self.made is None:
                from runner.clients.kubernetes import WatchingObserver, connect

                cluster = connect(
                    kubeconfig=self.options.kubeconfig or None, context=self.options.context or None
                )
                self.stack.callback(cluster.close)
                self.stop.hooks.append(cluster.cancel)
                observer = WatchingObserver(cluster.impatient(), keep=True)
                self.stack.callback(observer.close)
                self.made = cluster, observer
        return self.made


@dataclass(slots=True)
class _Others:
    """The clusters of `spec.kubeConfig`, each connected to once, by what leads to it."""

    options: Options
    stop: Stop
    stack: ExitStack
    made: dict[str, tuple[Cluster, Observer]] = field(default_factory=dict)
    resolver: Resolver | None = None
    mutex: Any = field(default_factory=threading.Lock)

    def reach(self, kubeconfig: bytes, name: str) -> tuple[Cluster, Observer]:
        key = hashlib.sha256(kubeconfig).hexdigest()
        with self.mutex:
            if key not in self.made:
                self.made[key] = self._connected(kubeconfig, name)
            return self.made[key]

    def _connected(self, kubeconfig: bytes, name: str) -> tuple[Cluster, Observer]:
        from runner.clients.kubernetes import WatchingObserver, connect_by
        from runner.clients.network import Policy, Resolver

        if self.resolver is None:
            private = not self.options.dry_run or self.options.allow_private_network
            self.resolver = Resolver(Policy(private=private))
        cluster = connect_by(kubeconfig, name, self._addresses)
        self.stack.callback(cluster.close)
        self.stop.hooks.append(cluster.cancel)
        if self.stop.told:
            cluster.cancel()
        observer = WatchingObserver(cluster.impatient(), keep=True)
        self.stack.callback(observer.close)
        return cluster, observer

    def _addresses(self, host: str, port: int) -> Sequence[str]:
        if self.resolver is None:
            return ()
        try:
            return self.resolver.pinned(host, port).addresses
        except SourceError as exc:
            raise ClusterError(exc.message, hint=exc.hint) from None


@dataclass(slots=True)
class _Fetching:
    """What fetches, made when it is first needed: most repositories are their own only source.

    What a preview renders may be a stranger's, so it reaches less, and runs no credential helper.
    """

    options: Options
    directory: Path
    stop: Stop
    stack: ExitStack
    deploys: bool
    resolver: Resolver | None = None
    kept: KeptContent | None = None
    registries: Artifacts | None = None
    repositories: Repositories | None = None
    downloads: Downloads | None = None
    mutex: Any = field(default_factory=threading.RLock)

    def fetch(self) -> Artifacts:
        """What reads registries."""
        with self.mutex:
            if self.registries is None:
                from runner.clients.oci import OciArtifacts

                resolver, kept = self._network()
                made = OciArtifacts(resolver.policy, kept, helpers=self.deploys, resolver=resolver)
                self.stop.hooks.append(made.cancel)
                self.stack.callback(made.close)
                self.registries = made
        return self.registries

    def clone(self) -> Repositories:
        """What reads other repositories."""
        with self.mutex:
            if self.repositories is None:
                from runner.clients.git.remote import RemoteRepositories

                resolver, kept = self._network()
                made = RemoteRepositories(resolver, kept, self.directory)
                self.stop.hooks.append(made.cancel)
                self.repositories = made
        return self.repositories

    def download(self) -> Downloads:
        """What reads URLs."""
        with self.mutex:
            if self.downloads is None:
                from runner.clients.network.downloads import HttpDownloads
                from runner.clients.network.http import Http

                resolver, _ = self._network()
                made = HttpDownloads(Http(resolver), self.directory)
                self.stop.hooks.append(made.cancel)
                self.stack.callback(made.cancel)
                self.downloads = made
        return self.downloads

    def _network(self) -> tuple[Resolver, KeptContent]:
        """One resolver for all, so that a name has the same addresses as long as the run lasts."""
        if self.resolver is None or self.kept is None:
            from runner.clients.kept import KeptContent
            from runner.clients.network import Policy, Resolver

            self.resolver = Resolver(Policy(private=self.deploys or self.options.allow_private_network))
            self.kept = KeptContent((self.options.cache or self.directory) / "fetched")
            self.stack.callback(self.kept.tidy)
        return self.resolver, self.kept


def _memory(directory: Path, repository: str) -> DirectoryMemory:
    from runner.clients.kustomize.locate import find_worker

    return DirectoryMemory(directory, repository, find_worker())


@contextmanager
def workspace() -> Iterator[Path]:
    """A directory of this run's own. What killed runs left behind is swept out on the way."""
    parent = Path(tempfile.gettempdir())
    for left in parent.glob(f"{PREFIX}*"):
        with suppress(OSError), _locked(left) as free:
            if free and (left / MARKER).is_file() and time.time() - left.stat().st_mtime > SETTLED:
                shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=PREFIX) as made, _locked(Path(made)):
        (Path(made) / MARKER).touch()
        yield Path(made)


@contextmanager
def _locked(directory: Path) -> Iterator[bool]:
    """Hold a directory's lock while inside; whether nobody else does. It goes with the process."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(handle)


def _silent(_: Progress) -> None:
    return


@contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(REQUESTS_AT_ONCE, thread_name_prefix="request")
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _interruptible(stop: Stop) -> Iterator[None]:
    """Turn the first INT or TERM into `Interrupted`, and make sure that the process ends soon after."""

    def tell(number: int, _frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        last = threading.Timer(LAST_WORDS, _give_up, (stop.stream, number))
        last.daemon = True
        last.start()
        raise Interrupted("interrupted", signal=number)

    before = {each: signal.signal(each, tell) for each in _SIGNALS}
    try:
        yield
    except Interrupted:
        stop.now()
        raise
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _give_up(stream: TextIO, number: int) -> None:
    """Something does not answer: what was written down before each write is enough to go on from."""
    stream.write("stopped while a request was still under way; the next run completes the work\n")
    stream.flush()
    sys.stdout.flush()
    os._exit(128 + number)
