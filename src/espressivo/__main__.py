"""``python -m espressivo``, and what the command ``espressivo`` starts."""

from __future__ import annotations

import sys


def main() -> None:
    """Load the command line and run it; interrupted while it is loaded, it says so in one line."""
    try:
        from espressivo.cli import main as run
    except KeyboardInterrupt:
        print("espressivo: interrupted", file=sys.stderr)
        sys.exit(130)
    run()


if __name__ == "__main__":  # worker processes import this module, too
    main()
