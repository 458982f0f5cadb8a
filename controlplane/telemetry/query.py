"""Read-only SQL over the telemetry file for people: one statement, no way out of the file, an end to every query."""

import json
import re
from datetime import timedelta
from typing import Final

import duckdb
import polars as pl

from controlplane.model.errors import ControlplaneError
from controlplane.model.labels import printable
from controlplane.telemetry.connections import OFFLINE, SESSION, Connection, fetch
from controlplane.telemetry.duckfile import TelemetryFile

_READS: Final = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
# Types that a frame has a counterpart for; all others (intervals, lists, maps …) come as text.
_PLAIN = re.compile(
    r"BOOLEAN|U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL\(.*\)|VARCHAR|BLOB|DATE|TIME"
    r"|TIMESTAMP(_S|_MS|_NS)?|TIMESTAMP WITH TIME ZONE|ENUM\(.*\)"
)
_OPERATOR: Final = duckdb.token_type.operator
_MEMORY: Final = "2GB"


class QueryError(ControlplaneError):
    """A statement that can't be run; says where in it and why."""


def query(file: TelemetryFile, sql: str, limit: int, *, timeout: timedelta) -> pl.DataFrame:
    """The first `limit` rows of one SELECT, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN statement.

    Runs on a connection of its own that can read this file only, and is stopped after `timeout`, so that a writer
    waits no longer than that. Raises QueryError for the statement, StoreBusy or StoreError for the file.
    """
    if limit < 1:
        raise QueryError(f"limit is {limit}; ask for at least one row")
    options = {**OFFLINE, "enable_external_access": False, "memory_limit": _MEMORY, "temp_directory": ""}

    def session() -> pl.DataFrame:
        with duckdb.connect(str(file.path), read_only=True, config=options) as connection:
            connection.execute(SESSION)
            connection.execute("SET errors_as_json = true")
            connection.execute(f"SET max_execution_time = {max(1, timeout // timedelta(milliseconds=1))}")
            connection.execute("SET lock_configuration = true")
            return _answer(connection, sql, limit)

    return file.guarded(session)


def _answer(connection: Connection, sql: str, limit: int) -> pl.DataFrame:
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise _explained(error, sql, 0) from None
    if len(statements) != 1:
        raise QueryError(f"the text holds {len(statements)} statements; write exactly one")
    statement = statements[0]
    if statement.type not in _READS:
        raise QueryError(
            f"{statement.type.name} is not allowed: queries only read. "
            "Write a SELECT, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN statement"
        )
    text = _without_end(statement.query)
    # DuckDB counts bytes from the start of the statement; people count from the start of what they typed.
    skipped = max(0, sql.encode().find(text.encode()))
    ahead = ""
    try:
        if statement.type is duckdb.StatementType.EXPLAIN:
            return fetch(connection, text).head(limit)
        ahead = "DESCRIBE "
        columns = [(str(row[0]), str(row[1])) for row in connection.execute(ahead + text).fetchall()]
        ahead, behind = _around(columns)
        return fetch(connection, f"{ahead}{text}{behind} LIMIT {limit}")
    except duckdb.Error as error:
        raise _explained(error, sql, skipped - len(ahead.encode())) from None


def _without_end(statement: str) -> str:
    """A statement without its semicolon and what follows it."""
    data = statement.encode()
    ends = [
        place for place, kind in duckdb.tokenize(statement) if kind == _OPERATOR and data[place : place + 1] == b";"
    ]
    return data[: ends[0]].decode() if ends else statement


def _around(columns: list[tuple[str, str]]) -> tuple[str, str]:
    """What to put before and behind a statement so that columns of unusual types come as text."""
    picked = [
        f"{column if _PLAIN.fullmatch(kind) else f'CAST({column} AS VARCHAR)'} AS {_quoted(name)}"
        for column, (name, kind) in ((f"c{number}", named) for number, named in enumerate(columns))
    ]
    names = ", ".join(f"c{number}" for number in range(len(columns)))
    return f"SELECT {', '.join(picked)} FROM (\n", f"\n) AS answer({names})"  # noqa: S608 - names are quoted


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _explained(error: duckdb.Error, sql: str, shift: int) -> Exception:
    """What was wrong, with line and column in `sql`; `shift` leads from DuckDB's byte offset to the one in `sql`."""
    if isinstance(error, duckdb.InterruptException):
        return QueryError("the query took too long and was stopped. Narrow it, such as by ts and signal, or aggregate")
    if isinstance(error, duckdb.OutOfMemoryException):
        return QueryError(f"the query needs more than {_MEMORY} of memory. Narrow it or aggregate")
    kind, _, rest = str(error).partition(": ")
    try:
        facts = json.loads(rest)
        message = str(facts["exception_message"])
    except (ValueError, TypeError, KeyError):
        facts, message = {}, rest
    where = ""
    if str(facts.get("position", "")).isdecimal():
        before = sql.encode()[: max(0, int(facts["position"]) + shift)].decode(errors="replace")
        line = before.count("\n") + 1
        where = f" at line {line}, column {len(before) - (before.rfind(chr(10)) + 1) + 1}"
    return QueryError(f"{kind.removesuffix(' Error') or 'SQL'} error{where}: {printable(message, 1_000)}")
