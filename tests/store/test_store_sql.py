"""Questions in SQL see the store's tables and nothing else on this machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kaibo.errors import UsageError
from kaibo.store import Counted, Failure, Store
from kaibo.store.questions import _plan
from kaibo.vocabulary import Census, Row

NONE = np.zeros(0, np.uint64)


def census(seed: int) -> Census:
    counts = np.arange(1, 4 + seed, dtype=np.uint64)
    return Census("BF16", np.arange(counts.size, dtype=np.uint32), counts, NONE, NONE.reshape(0, 2), -1.0, float(seed))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    store.record([Counted(f"source {seed}", f"{seed:032x}", census(seed)) for seed in (1, 2)])
    rows = [Row("./m", "f" * 16, f"w{seed}", seed, "mlp.up", "BF16", (5,), f"{seed:032x}", None) for seed in (1, 2, 3)]
    store.record_model("org/m", "llama", rows)
    store.record_failures([Failure("./m", "w3", "format", "cut")])
    return store


def test_a_row_per_tensor_says_what_its_census_says_in_one_number(store: Store) -> None:
    answer = store.sql("SELECT tensor, maximum, nan FROM tensors ORDER BY tensor").to_pydict()
    assert answer == {"tensor": ["w1", "w2", "w3"], "maximum": [1.0, 2.0, None], "nan": [0, 0, None]}


def test_the_bins_of_a_census_can_be_asked_for(store: Store) -> None:
    answer = store.sql("SELECT list_sum(counts) AS n, len(keys) AS bins FROM census ORDER BY n").to_pydict()
    assert answer == {"n": [10.0, 15.0], "bins": [4, 5]} or answer == {"n": [10, 15], "bins": [4, 5]}


@pytest.mark.parametrize(
    "query",
    [
        "FROM census ORDER BY content",
        "SELECT * FROM census ORDER BY content",
        "SELECT COLUMNS('k.*') FROM census ORDER BY content",
        "SELECT hash(census) AS h FROM census ORDER BY h",
        "SELECT count(*) AS n FROM (DESCRIBE census)",
        "SELECT content FROM census WHERE len(keys) = 5",
        "SELECT content FROM census WHERE keys IS NOT NULL ORDER BY content",
        "SELECT a.content FROM census a JOIN census b ON a.keys = b.keys ORDER BY a.content",
        "FROM query_table('census') ORDER BY content",
        "SELECT count(DISTINCT COLUMNS(*)) FROM census",
        "SUMMARIZE census",
        'SELECT "KEYS" FROM Census ORDER BY "CONTENT"',
    ],
)
def test_leaving_out_unused_lists_never_changes_an_answer(
    store: Store, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lean = store.sql(query)
    every_list = "keys counts lo lo2_high lo2_low digits64 shape"
    monkeypatch.setattr("kaibo.store.questions._plan", lambda *given: _plan(*given) + every_list)
    assert lean.equals(store.sql(query))


def test_the_tables_are_there_before_anything_is_recorded(tmp_path: Path) -> None:
    answer = Store(tmp_path / "none").sql("SELECT count(*) AS n FROM tensors")
    assert answer.to_pydict() == {"n": [0]}
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_blob('/etc/passwd')",
        "SELECT * FROM read_parquet('https://example.org/x.parquet')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "SELECT * FROM query('FROM read_text(''/etc/passwd'')')",
        "SELECT getenv('HOME')",
        "COPY census TO 'out.csv'",
        "COPY (SELECT 1) TO 'out.parquet'",
        "EXPORT DATABASE 'out'",
        "ATTACH 'out.db' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET threads = 64",
        "SET enable_external_access = true",
        "RESET memory_limit",
        "PRAGMA enable_profiling",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "CREATE TABLE x AS SELECT 1",
        "CREATE SECRET s (TYPE s3)",
        "DROP VIEW tensors",
        "DELETE FROM census",
        "SELECT 1; SELECT 2",
        "SELECT 1; SET threads = 64",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO 'out.csv'",
        "SELECT secret FROM hidden",
        "SELECT",
        "",
        "SELECT nothing FROM census",
        "\x00",
        "SELECT '\udce9'",
    ],
)
def test_a_query_reaches_nothing_but_the_tables(
    store: Store, query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa

    hidden = pa.table({"secret": [1]})  # what a query must not see
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError) as caught:
        store.sql(query)
    assert "\n" not in caught.value.line
    assert sorted(tmp_path.rglob("*")) == before
    assert hidden.num_rows == 1


def test_a_query_cannot_open_what_the_settings_close(store: Store) -> None:
    names = "'enable_external_access', 'lock_configuration', 'autoload_known_extensions', 'allow_community_extensions'"
    answer = store.sql(f"SELECT name, value FROM duckdb_settings() WHERE name IN ({names}) ORDER BY name").to_pylist()
    assert [row["value"] for row in answer] == ["false", "false", "false", "true"]


def test_recording_and_looking_up_never_import_duckdb(tmp_path: Path) -> None:
    script = (
        "import sys; from kaibo.store import Store, Counted; from kaibo.vocabulary import Census;"
        f"s = Store({str(tmp_path / 's')!r}); s.record([Counted('a', '0' * 32, Census.empty('BF16'))]);"
        "assert s.censuses(['0' * 32]) and s.contents(['a']);"
        "assert 'duckdb' not in sys.modules and 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
