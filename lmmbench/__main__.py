"""`lmmbench` and `python -m lmmbench`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line; `--version` answers without loading it."""
    if sys.argv[1:] == ["--version"]:
        from lmmbench import __version__

        sys.stdout.write(f"lmmbench {__version__}\n")
        return
    # Arrow's own pool keeps 50 MB for the next time
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    # numpy's own threads spin while they wait: a quarter of a short run's CPU; what is worth threads has them (stats.py)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from lmmbench.cli import run_cli

    sys.exit(run_cli())


if __name__ == "__main__":
    main()
