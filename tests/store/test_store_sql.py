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
from measured import no_hang

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


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("date '290000-01-01'", "290000-01-01"),
        ("date '-290000-01-01'", "290001-01-01 (BC)"),
        ("timestamp 'infinity'", "infinity"),
        ("timestamptz '290000-01-01'", "290000-01-01 00:00:00+00"),
        ("340282366920938463463374607431768211455::uhugeint", "340282366920938463463374607431768211455"),
        ("timetz '12:00:00+02'", "12:00:00+02"),
        ("interval 1 month", "1 month"),
        ("[date '290000-01-01', null]", ["290000-01-01", None]),
        ("{'a': {'b \"c': [timestamp '-infinity']}}", {"a": {'b "c': ["-infinity"]}}),
        ("'101'::bit", "101"),
        ("[1, 2]", [1, 2]),
        ("date '2024-02-29'", "2024-02-29"),
    ],
)
def test_what_python_cannot_hold_is_told_as_text(store: Store, asked: str, told: object) -> None:
    from kaibo.chapters.sql.ask import sql

    columns, rows, _ = sql(f"SELECT {asked} AS x, 1 AS x", store=store.path)
    assert (columns, rows) == (["x", "x_1"], [(told, 1)])


@pytest.mark.parametrize(
    "query", ["update extensions", "vacuum", "call pragma_version()", "select 'a\0b'", "\0", "select '\udc80'", ""]
)
def test_what_is_no_question_is_an_error_of_ours(store: Store, query: str) -> None:
    with pytest.raises(UsageError):
        store.sql(query)


ENDLESS = [
    "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t",
    "SELECT sum(a.range * b.range) FROM range(100000000) a, range(100000000) b",
    "SELECT count(*) FROM models a, models b, range(1000000000) c, range(1000000000) d WHERE a.n + c.range = d.range",
    "EXPLAIN ANALYZE SELECT sum(a.range * b.range) FROM range(100000000) a, range(100000000) b",
]


@pytest.mark.parametrize("query", ENDLESS)
def test_an_endless_question_is_stopped_and_the_store_answers_on(store: Store, query: str) -> None:
    from kaibo.store.questions import Limits

    with no_hang(), pytest.raises(UsageError, match=r"longer than 0\.5 s|more than 1GB"):
        store.ask(query, Limits(seconds=0.5))
    assert store.sql("SELECT 1 AS a").to_pydict() == {"a": [1]}


def test_a_question_that_wants_too_much_memory_is_refused(store: Store) -> None:
    with no_hang(), pytest.raises(UsageError, match="more than 1GB of memory"):
        store.sql("SELECT list(range) FROM range(1000000000)")


def test_an_answer_that_is_too_large_is_cut_and_stays_json(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    from kaibo.cli import main_loop
    from kaibo.store.questions import Limits

    found = store.ask("SELECT range AS n FROM range(100000)", Limits(bytes=8 * 25_000))
    assert found.cut
    assert 0 < found.table.num_rows < 100_000
    assert found.table["n"].to_pylist() == list(range(found.table.num_rows))
    whole = store.ask("SELECT range AS n FROM range(100000)", None)
    assert (whole.cut, whole.table.num_rows) == (False, 100_000)
    wide = f"SELECT repeat('x', {1 << 20}) AS x FROM range(64)"
    assert main_loop(["sql", wide, "--json", "--store", str(store.path)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert 0 < len(document["results"]) < 64
    assert document["warnings"] == [
        f"the answer is cut after {len(document['results'])} rows; aggregate, or ask for it in parts"
    ]


def test_a_question_can_be_interrupted(store: Store) -> None:
    """Ctrl-C while DuckDB works: the line of every command that was stopped, and its exit code."""
    import signal
    import time

    command = [sys.executable, "-m", "kaibo", "sql", ENDLESS[1], "--timeout", "600", "--store", str(store.path)]
    # a process that was started in the background ignores Ctrl-C, and so would its children
    heeds = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    child = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **heeds)
    with no_hang(300):
        while "duckdb" not in Path(f"/proc/{child.pid}/maps").read_text():
            time.sleep(0.05)
        time.sleep(1)
        child.send_signal(signal.SIGINT)
        _, told = child.communicate()
    assert child.returncode == 130
    assert told.startswith("kaibo: stopped")
    assert told.count("\n") == 1
