"""`python -m tests.fidelity.controller` builds what the side-by-side tests compare with.

With `shapes` it prints what the structs of its client are instead.
"""

from __future__ import annotations

import sys

from tests.fidelity import controller

if __name__ == "__main__":
    if sys.argv[1:] == ["shapes"]:
        sys.stdout.write(controller.shapes())
    else:
        controller.program()
