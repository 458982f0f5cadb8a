"""The tables of the telemetry file and the views for people; `docs/sql.md` describes both."""

from typing import Final

VERSION: Final = 1
"""Raised when a table changes: a file of another version is set aside and begun anew."""

FOREVER: Final = 2**63 - 1
"""A time that no sample reaches (epoch ms)."""

FIVE_MINUTES: Final = 300_000
HOUR: Final = 3_600_000
"""Lengths of a rollup's bucket in milliseconds."""

TABLES: Final = ("series", "samples", "coverage", "rollup_5m", "rollup_1h", "events")

# No unique index on series: writers are alone in the file and insert by anti-join, while the index triples the time
# of an insert, costs 0.2 s per opening at 500,000 series and doubles the file.
DDL: Final = """
CREATE TABLE meta (
    version INTEGER NOT NULL,
    full_since BIGINT NOT NULL,
    five_minutes_since BIGINT NOT NULL,
    stale_since BIGINT NOT NULL
);
INSERT INTO meta VALUES (:version, 0, 0, :forever);
CREATE TABLE series (
    sid UINTEGER NOT NULL,
    source VARCHAR NOT NULL,
    platform VARCHAR NOT NULL,
    signal VARCHAR NOT NULL,
    labels VARCHAR NOT NULL
);
CREATE TABLE samples (sid UINTEGER NOT NULL, ts BIGINT NOT NULL, value DOUBLE);
CREATE TABLE coverage (
    source VARCHAR NOT NULL,
    platform VARCHAR NOT NULL,
    signal VARCHAR NOT NULL,
    first BIGINT NOT NULL,
    last BIGINT NOT NULL
);
CREATE TABLE rollup_5m (
    sid UINTEGER NOT NULL, ts BIGINT NOT NULL, min DOUBLE, max DOUBLE, avg DOUBLE, count UINTEGER, last DOUBLE
);
CREATE TABLE rollup_1h (
    sid UINTEGER NOT NULL, ts BIGINT NOT NULL, min DOUBLE, max DOUBLE, avg DOUBLE, count UINTEGER, last DOUBLE
);
CREATE TABLE events (
    position BIGINT NOT NULL,
    id UUID NOT NULL,
    stream VARCHAR NOT NULL,
    version INTEGER NOT NULL,
    type VARCHAR NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor VARCHAR NOT NULL,
    correlation VARCHAR NOT NULL,
    cause UUID,
    payload JSON NOT NULL,
    hash VARCHAR NOT NULL
);
CREATE VIEW v_series AS
    SELECT sid, source, platform, signal, labels FROM series;
CREATE VIEW v_samples AS
    SELECT to_timestamp(ts / 1000) AS time, source, platform, signal, labels, value, ts, sid
    FROM samples JOIN series USING (sid);
CREATE VIEW v_5m AS
    SELECT to_timestamp(ts / 1000) AS time, source, platform, signal, labels,
           min, max, avg, last, count, ts, sid
    FROM rollup_5m JOIN series USING (sid);
CREATE VIEW v_1h AS
    SELECT to_timestamp(ts / 1000) AS time, source, platform, signal, labels,
           min, max, avg, last, count, ts, sid
    FROM rollup_1h JOIN series USING (sid);
CREATE VIEW v_coverage AS
    SELECT source, platform, signal, to_timestamp(first / 1000) AS first, to_timestamp(last / 1000) AS last
    FROM coverage;
""".replace(":version", str(VERSION)).replace(":forever", str(FOREVER))
"""`meta` has one row: epoch ms since which full samples and 5-minute rollups are kept, and since which rollups are
older than the samples (FOREVER = nowhere)."""
