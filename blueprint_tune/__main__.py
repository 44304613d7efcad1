"""``python -m blueprint_tune``."""

import sys

from blueprint_tune.cli import main

if __name__ == "__main__":
    sys.exit(main())
