"""Run the ktrdr server with the settings of the environment and `.env`."""

import sys

from ktrdr.server import main

if __name__ == "__main__":
    sys.exit(main())
