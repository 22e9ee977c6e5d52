"""The server's process: `python -m ktrdr.server`."""

from __future__ import annotations

import gc
import sys


def main() -> int:
    # A second of imports makes objects that stay for good; looking through them for garbage takes a seventh of it.
    gc.disable()
    from ktrdr import bootstrap

    gc.freeze()
    gc.enable()
    return bootstrap.main()


if __name__ == "__main__":
    sys.exit(main())
