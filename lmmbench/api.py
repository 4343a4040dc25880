"""What notebooks use: `lmmbench.load`, `lmmbench.matrix`, `lmmbench.compare`. All work inside a running event loop."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from lmmbench.analysis import compare as compares
from lmmbench.analysis import matrix as matrices
from lmmbench.faults import UsageError
from lmmbench.files import read_parquet

if TYPE_CHECKING:
    import pandas as pd


def load(path_or_glob: str | Path) -> pd.DataFrame:
    """Rows of one or more runs as a DataFrame, with the columns of models/*.parquet.

    `path_or_glob`: a run's folder, a results folder, a parquet file, or a glob of any of these. Raises UsageError
    when nothing is there.
    """
    import pyarrow as pa

    exact = Path(path_or_glob)  # a folder may be called "old [2026]"
    found = [str(exact)] if exact.exists() else sorted(glob.glob(str(path_or_glob)))  # noqa: PTH207 (the pattern may be absolute)
    files = [f for p in found for f in _files(Path(p))]
    if not files:
        raise UsageError(f"no results at {path_or_glob}; give a run's folder, a model's parquet, or a glob of them")
    frame: pd.DataFrame = pa.concat_tables([read_parquet(f) for f in files]).to_pandas()
    return frame


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(path.glob("models/*.parquet")) or sorted(path.glob("*/models/*.parquet"))


def matrix(*runs: str | Path) -> pd.DataFrame:
    """The matrix of one or more runs as a DataFrame, with the columns of matrix.parquet. `runs`: runs' folders; several
    are judged as one field. Raises UsageError when they did not ask the same questions of different models."""
    import pandas as pd

    folders = [Path(run) for run in runs]
    cells = matrices.read(folders[0]) if len(folders) == 1 else matrices.build(*folders)
    return pd.DataFrame(cells, columns=matrices.COLUMNS)


def compare(
    a: str | Path, b: str | Path, model_a: str | None = None, model_b: str | None = None, cells: Iterable[str] = ()
) -> pd.DataFrame:
    """Paired differences of run b less run a on the questions that both answered: one row per model and cell, with the
    columns `lmmbench.analysis.compare.COLUMNS`. a, b: runs' folders; models: every one that both have, unless named;
    `cells` (`pack/stratum`) are tested beside the packs. Raises UsageError where the two were asked differently."""
    import pandas as pd

    rows = compares.compare(compares.pairs(Path(a), Path(b), model_a, model_b), cells)
    return pd.DataFrame(rows, columns=list(compares.COLUMNS))
