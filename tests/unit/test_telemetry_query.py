import re
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from controlplane.model.alerts import alert_id
from controlplane.model.events import Event
from controlplane.model.payloads import AlertFacts, AlertFired
from controlplane.model.severity import Severity
from controlplane.model.time import from_ms
from controlplane.settings import Retention
from controlplane.telemetry.query import QueryError
from controlplane.telemetry.store import SampleStore
from tests.telemetry_frames import HOUR, START, STEP, name, samples, tick
from tests.unit.test_maintenance import Log

DOCS = Path(__file__).parents[2] / "docs" / "sql.md"


@pytest.fixture
def store(tmp_path: Path) -> SampleStore:
    store = SampleStore(tmp_path / "telemetry.duckdb")
    store.write([tick(0)])
    return store


# what is allowed


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 AS n",
        "  select 1 as n ;  ",
        "-- how many?\nSELECT 1 AS n; -- one",
        "SELECT ';' AS n /* ; */ ;; -- ;",
        "FROM (VALUES (1)) AS t(n)",
        "WITH x AS (SELECT 1 AS n) FROM x",
        "SHOW TABLES",
        "DESCRIBE samples",
        "SUMMARIZE samples",
        "EXPLAIN SELECT 1",
        "EXPLAIN ANALYZE SELECT count(*) FROM samples",
        "PIVOT (SELECT sid % 2 AS n, value FROM samples) ON n IN (0, 1) USING max(value)",
    ],
)
def test_reading_statements(store: SampleStore, sql: str) -> None:
    assert store.query(sql).height > 0


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM samples",
        "INSERT INTO samples VALUES (1, 2, 3)",
        "UPDATE meta SET version = 2",
        "DROP TABLE samples",
        "CREATE TEMP TABLE x AS SELECT 1",
        "CREATE TABLE x (n INTEGER)",
        "COPY samples TO '{folder}/out.csv'",
        "EXPORT DATABASE '{folder}/out'",
        "ATTACH '{folder}/other.duckdb'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET threads = 1",
        "SET enable_external_access = true",
        "RESET max_execution_time",
        "PRAGMA database_list",
        "CHECKPOINT",
        "VACUUM",
        "BEGIN",
        "USE memory",
        "SELECT * FROM read_text('{folder}/secret')",
        "SELECT * FROM read_csv('{folder}/secret')",
        "FROM '{folder}/secret.csv'",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM read_csv('https://localhost:1/x')",
        "SELECT * FROM frame",
        "SELECT getenv('HOME')",
        "SELECT 1; SELECT 2",
        "SELECT 1; DELETE FROM samples",
        "",
        " ; ",
        "-- nothing",
        "\x00",
    ],
)
def test_everything_else_is_refused_and_changes_nothing(store: SampleStore, tmp_path: Path, sql: str) -> None:
    frame = pl.DataFrame({"n": [1]})  # a Python variable that SQL must not see
    (tmp_path / "secret").write_text("s3cret")
    (tmp_path / "secret.csv").write_text("s3cret")
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(QueryError) as caught:
        store.query(sql.format(folder=tmp_path))
    assert "s3cret" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert store.read(-1, 2**60).samples.height == tick(0).samples.height
    assert frame.height == 1


# errors


@pytest.mark.parametrize(
    ("sql", "where", "what"),
    [
        ("SELEC 1", "line 1, column 1", "syntax error"),
        ("SELECT value,,\n ts FROM samples", "line 1, column 14", "syntax error"),
        ("SELECT\n  vlaue FROM samples", "line 2, column 3", 'Referenced column "vlaue"'),
        ("SELECT *\nFROM sampels", "line 2, column 6", "Did you mean"),
        ("-- Zoë 火\nSELECT 'é火', nosuch FROM samples", "line 2, column 14", "nosuch"),
        ("SELECT sum(labels) FROM series", "line 1, column 8", "sum"),
        ("SELECT 1,\n       'x'::INTEGER", "line 2, column 11", "'x'"),
        ("SELECT ts,\n  labels::DATE FROM v_samples", "line 2, column 9", "date"),
        ("SELECT * FROM samples WHERE ts = ?", "", "parameter"),
        ("SELECT error('it broke')", "", "it broke"),
    ],
)
def test_an_error_says_what_and_where(store: SampleStore, sql: str, where: str, what: str) -> None:
    with pytest.raises(QueryError) as caught:
        store.query(sql)
    assert where in str(caught.value)
    assert what in str(caught.value)
    assert "{" not in str(caught.value)[:5]


def test_an_error_shows_no_control_characters(store: SampleStore) -> None:
    with pytest.raises(QueryError) as caught:
        store.query("SELECT error('\x1b[31m' || repeat('x', 100000))")
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 2_000


def test_a_query_that_takes_too_long_is_stopped(store: SampleStore) -> None:
    started = time.monotonic()
    with pytest.raises(QueryError, match="took too long"):
        store.query("SELECT count(*) FROM range(1000000000000) t(n) WHERE hash(n) = 3", timeout=timedelta(seconds=0.3))
    assert time.monotonic() - started < 5
    store.write([tick(1)])


def test_a_query_that_eats_memory_is_stopped(store: SampleStore) -> None:
    with pytest.raises(QueryError, match=r"memory|too long"):
        store.query("SELECT list(n || repeat('x', 1000)) FROM range(100000000) t(n)")
    store.write([tick(1)])


# answers


def test_the_limit(store: SampleStore) -> None:
    assert store.query("SELECT * FROM range(100) t(n) ORDER BY n DESC", 3)["n"].to_list() == [99, 98, 97]
    assert store.query("FROM range(2)", 3).height == 2
    assert store.query("SELECT 1 WHERE false").columns == ["1"]
    with pytest.raises(QueryError, match="at least one"):
        store.query("SELECT 1", 0)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("INTERVAL 90 MINUTE", "01:30:00"),
        ("[1, 2]", "[1, 2]"),
        ("{'a': 1}", "{'a': 1}"),
        ("MAP {'k': 1}", "{k=1}"),
        ("'{\"a\":1}'::JSON", '{"a":1}'),
        ("NULL", None),
        ("uuid '6f1f2a52-6a0c-5f0e-9a51-1f6f0c0e7f10'", "6f1f2a52-6a0c-5f0e-9a51-1f6f0c0e7f10"),
        ("'x'::ENUM('x', 'y')", "x"),
        ("true", True),
        ("1.5::DOUBLE", 1.5),
        ("9007199254740993", 9007199254740993),
        ("DATE '2026-01-31'", date(2026, 1, 31)),
        ("'\x1b[31m'", "\x1b[31m"),
    ],
)
def test_values(store: SampleStore, sql: str, expected: object) -> None:
    assert store.query(f"SELECT {sql} AS answer")["answer"].to_list() == [expected]


def test_times_are_utc(store: SampleStore) -> None:
    found = store.query("SELECT min(time) AS t, min(ts) AS ms FROM v_samples")
    assert found["t"][0].astimezone(UTC) == from_ms(found["ms"][0])
    assert store.query("SELECT TIMESTAMPTZ '2026-01-31 19:00' AS t")["t"][0] == datetime(2026, 1, 31, 19, tzinfo=UTC)


def test_columns_of_one_name_and_odd_names(store: SampleStore) -> None:
    found = store.query("""SELECT 1 AS a, INTERVAL 1 DAY AS a, 2 AS "we""ird, [x]", count(*) FROM samples""")
    assert found.rows() == [(1, "1 day", 2, tick(0).samples.height)]
    assert found.columns[0] == "a"
    assert found.columns[2] == 'we"ird, [x]'


# what is documented


def fired(position: int, group: str, ms: int) -> Event:
    labels = {"consumer_group": group}
    facts = AlertFacts(
        alert=alert_id("lag", "prom", labels),
        rule="lag",
        source="prom",
        platform="catalyst",
        component="kafka",
        labels=labels,
        severity=Severity.CRITICAL,
        title="Kafka consumer group is behind",
        summary="behind",
        value=1.0,
        threshold="> 100000",
        unit="{message}",
        active_at=from_ms(ms),
    )
    event = Log(1).events[0]
    return event.model_copy(
        update={
            "position": position,
            "type": "alert_fired.v1",
            "payload": AlertFired(facts=facts),
            "occurred_at": from_ms(ms),
            "hash": str(position),
        }
    )


@pytest.fixture
def lagging(store: SampleStore) -> SampleStore:
    """An hour of lag of two consumer groups, a gap of 20 minutes, and three alerts."""
    steps = [START + n * STEP for n in range(240)]
    held = [ts for ts in steps if not 80 <= (ts - START) // STEP < 160]
    values = {
        name("kafka.consumer.lag", consumer_group=group, topic="orders"): {ts: factor * (ts - START) for ts in held}
        for group, factor in (("billing", 1.0), ("audit", 2.0))
    }
    key = ("prom", "catalyst", "kafka.consumer.lag")
    store.write([samples(values, [(*key, START, START + 79 * STEP), (*key, START + 160 * STEP, steps[-1])])])
    log = Log()
    log.events = [
        fired(1, "billing", START + 10 * 60_000),
        fired(2, "audit", START + 10 * 60_000),
        fired(3, "audit", START + 50 * 60_000),
    ]
    store.mirror(log)
    store.maintain(from_ms(START + HOUR), Retention())
    return store


def examples() -> list[str]:
    return re.findall(r"```sql\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)


def test_the_examples_of_the_documentation_answer(lagging: SampleStore) -> None:
    peak, by_hour, alerts, before, gaps = (lagging.query(sql) for sql in examples())
    assert peak.rows() == [("audit", "orders", 2.0 * 239 * STEP), ("billing", "orders", 239.0 * STEP)]
    assert by_hour.select("hour_of_day", "peak").rows() == [(from_ms(START).hour, 2.0 * 239 * STEP)]
    assert alerts.select("rule", "fired", "alerts").rows() == [("lag", 3, 2)]
    assert before.height == 63
    assert before["alert"].n_unique() == 2
    assert (before["occurred_at"] - before["time"]).max() == timedelta(minutes=5)
    assert gaps.select("source", "signal", "gap").rows() == [("prom", "kafka.consumer.lag", "00:20:15")]


def test_every_table_and_column_is_documented(store: SampleStore) -> None:
    text = DOCS.read_text(encoding="utf-8")
    columns = store.query("SELECT table_name, column_name FROM information_schema.columns")
    assert columns["table_name"].n_unique() == 12
    for table, names in columns.group_by("table_name").agg("column_name").rows():
        row = next(line for line in text.splitlines() if line.startswith("|") and f"`{table}`" in line)
        for column in names:
            assert f"`{column}`" in row or "as `v_5m`" in row, f"{table}.{column}"
