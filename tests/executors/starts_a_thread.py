"""What a library may do when it is imported."""

from __future__ import annotations

import threading
from pathlib import Path

_has_its_name = threading.Event()


def _wait() -> None:
    Path("/proc/thread-self/comm").write_text("an_unknown_one", encoding="ascii")
    _has_its_name.set()
    threading.Event().wait()


_thread = threading.Thread(target=_wait, daemon=True)
_thread.start()
_has_its_name.wait()
