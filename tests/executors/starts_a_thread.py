"""What a library may do when it is imported."""

from __future__ import annotations

import threading
from pathlib import Path


def _wait() -> None:
    Path("/proc/thread-self/comm").write_text("an_unknown_one", encoding="ascii")
    threading.Event().wait()


_thread = threading.Thread(target=_wait, daemon=True)
_thread.start()
