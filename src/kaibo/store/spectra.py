"""A `Spectrum` as a row of the table `spectra`, and back, to the last bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from kaibo.store.columns import table_of
from kaibo.store.schemas import SPECTRA, SPECTRUM_VERSION
from kaibo.vocabulary import Spectrum

if TYPE_CHECKING:
    import pyarrow as pa


def spectra_table(found: Mapping[tuple[str, int], Spectrum], settings: str) -> pa.Table:
    """Rows for spectra by content and part, under the current version of the measure."""
    rows = [
        {
            "content": content,
            "part": part,
            "version": SPECTRUM_VERSION,
            "settings": settings,
            "matrix_rows": one.rows,
            "matrix_columns": one.columns,
            "method": one.method,
            "sigma": one.values,
            "error": one.error,
            "square": one.square,
            "nonfinite": one.nonfinite,
            "residual": one.residual,
        }
        for (content, part), one in found.items()
    ]
    return table_of(rows, SPECTRA)


def spectra_from(table: pa.Table, settings: str) -> dict[tuple[str, int], Spectrum]:
    """The spectra of the rows that the current version wrote under these settings."""
    return {
        (row["content"], row["part"]): Spectrum(
            row["matrix_rows"], row["matrix_columns"], row["method"], np.array(row["sigma"], np.float64),
            row["error"], row["square"], row["nonfinite"],
            row["residual"],
        )
        for row in table.to_pylist()
        if (row["version"], row["settings"]) == (SPECTRUM_VERSION, settings)
    }  # fmt: skip
