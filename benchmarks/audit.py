"""`pip-audit` where the machine can reach its database; a clear line, and no failure, where it cannot."""

from __future__ import annotations

import subprocess
import sys


def main() -> int:
    """Exit code of pip-audit; 0 with a reason when the advisory database is out of reach."""
    command = [sys.executable, "-m", "pip_audit", "--skip-editable", "--progress-spinner", "off"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    except subprocess.TimeoutExpired:
        print("audit skipped: the advisory database did not answer within 180 s")
        return 0
    said = done.stdout + done.stderr
    if "ConnectionError" in said or "Max retries" in said:
        print("audit skipped: the advisory database cannot be reached from this machine")
        return 0
    unknown = said.count("could not be audited")
    if unknown > 10:
        # an index without advisories answers "not found" for every package: that is no clean bill of health
        print(f"audit skipped: this machine's package index knows no advisories ({unknown} packages not found there)")
        return 0
    print(done.stdout, done.stderr, sep="\n")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
