"""`python -m tests.fidelity.controller` builds what the side-by-side tests compare with."""

from __future__ import annotations

from tests.fidelity import controller

if __name__ == "__main__":
    controller.program()
