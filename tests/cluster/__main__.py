"""`python -m tests.cluster`: a control plane for people to try things on."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from runner.clients.kustomize.toolchain import cache_dir
from tests.cluster import build
from tests.cluster.control_plane import ControlPlaneError
from tests.cluster.holder import Place, detach

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def main() -> int:
    """Carry out the command; 1 when it failed."""
    options = _parser().parse_args()
    try:
        if options.command == "hold":
            detach()
            Place(options.directory).hold(shared=options.shared)
        elif options.command == "build":
            print(build.ensure().kube_apiserver.parent)  # noqa: T201
        else:
            _for_people(options.command, options.name)
    except (RuntimeError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _for_people(command: str, name: str) -> None:
    place = Place(cache_dir() / "running" / name)
    if command == "down":
        place.stop()
        return
    if command == "up":
        # Here, not in the background, so that the one who waits sees how far it is.
        build.ensure()
        place.start(shared=False)
    elif not place.is_running():
        raise ControlPlaneError(
            f"control plane {name}: is not running; start it with: python -m tests.cluster up"
        )
    print(place.kubeconfig)  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.cluster", description="A real Kubernetes control plane without containers."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command, text in (
        ("up", "start one in the background, unless it runs already, and print its kubeconfig's path"),
        ("kubeconfig", "print the path of its kubeconfig"),
        ("down", "stop it and remove what it left"),
    ):
        one = commands.add_parser(command, help=text, description=text)
        one.add_argument("--name", type=_name, default="default", help="which one, when there are several")
    commands.add_parser(
        "build", help="build its programs, where they are not there, and print their directory"
    )
    hold = commands.add_parser(
        "hold", description="run one for other processes; used by `up` and by the tests"
    )
    hold.add_argument("directory", type=Path)
    hold.add_argument("--shared", action="store_true", help="end when no process uses it any more")
    return parser


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no name: use letters, digits, dot, dash and underscore"
        )
    return text


if __name__ == "__main__":
    sys.exit(main())
