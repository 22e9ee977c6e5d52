"""`python -m ktrdr.cli` is `ktrdr`."""

import sys

from ktrdr.cli import main

sys.exit(main())
