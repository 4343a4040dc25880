"""lmmbench: a local benchmarking harness for large multimodal models, across providers, Korean-first.

`lmmbench.load(path_or_glob)` returns a run's rows as a pandas.DataFrame, `lmmbench.matrix(run)` its matrix, and
`lmmbench.compare(a, b)` the paired differences of two runs.
Everything heavy is imported when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmmbench.api import compare as compare
    from lmmbench.api import load as load
    from lmmbench.api import matrix as matrix

__version__ = "0.1.0"
__all__ = ["__version__", "compare", "load", "matrix"]


def __getattr__(name: str) -> Any:
    if name in ("compare", "load", "matrix"):
        from lmmbench import api

        return getattr(api, name)
    raise AttributeError(f"module 'lmmbench' has no attribute {name!r}")
