"""The program `python -m ktrdr.plugins FILE…`, which prints what these files declare, as JSON."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ktrdr.plugins.describing import IMPORT_TIMEOUT_S
from ktrdr.plugins.failures import time_limit
from ktrdr.plugins.loading import load_plugins


def main() -> None:
    # What a plugin prints must not stand between the braces, so it goes to the standard error.
    output = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with time_limit(IMPORT_TIMEOUT_S, "its import"):
        described = load_plugins([Path(each) for each in sys.argv[1:]])
    output.write(described.model_dump_json())
    output.flush()
    os._exit(0)  # threads that a plugin has started are of no interest


if __name__ == "__main__":
    main()
