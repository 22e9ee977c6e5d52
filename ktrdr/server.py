"""The server's process: `python -m ktrdr.server`."""

from __future__ import annotations

import gc
import sys


def main() -> int:
    # Imported objects live for ever; collecting garbage during imports only delays the start.
    gc.disable()
    from ktrdr import bootstrap

    gc.freeze()
    gc.enable()
    return bootstrap.main()


if __name__ == "__main__":
    sys.exit(main())
