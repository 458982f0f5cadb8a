"""A PostgreSQL server of its own for tests, with a fresh database per request."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pytest

from tests.servers import free_port, require_binary

_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
PASSWORD = "s3cret-Pa:ss/w@rd"  # a hostile one: every character that a URL must escape


@dataclass(frozen=True)
class PostgresqlServer:
    """A running server; `url` gives a SQLAlchemy URL of a database."""

    port: int

    def dsn(self, database: str) -> str:
        """Connection string for psycopg itself."""
        return f"host=127.0.0.1 port={self.port} user=controlplane password={PASSWORD} dbname={database}"

    def url(self, database: str, *, password: str = PASSWORD) -> str:
        """URL with the password escaped."""
        return f"postgresql+psycopg://controlplane:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def create_database(self) -> str:
        """A new empty database; returns its name."""
        name = f"test_{uuid4().hex}"
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return name


def _as_postgres() -> dict[str, object]:
    """PostgreSQL refuses to run as root: the user to switch to, if we are root."""
    if os.geteuid() != 0:
        return {}
    try:
        account = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("running as root and there is no user `postgres` to run the server as")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """A server on a free loopback port, with password authentication, gone after the session."""
    initdb, postgres = require_binary("initdb", _FOLDERS), require_binary("postgres", _FOLDERS)
    pg_ctl = require_binary("pg_ctl", _FOLDERS)
    user = _as_postgres()
    home = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        if user:
            os.chown(home, user["user"], user["group"])
        secret = home / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        run: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run
        data = str(home / "data")
        run(
            [
                *(initdb, "-D", data, "-U", "controlplane", "--auth=scram-sha-256", f"--pwfile={secret}"),
                *("--encoding=UTF8", "--locale=C", "--no-sync"),
            ],
            check=True,
            capture_output=True,
            text=True,
            cwd=home,
            **user,
        )
        port = free_port()
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories= -c fsync=off"
        start = [pg_ctl, "-D", data, "-w", "-t", "60", "-l", str(home / "log"), "-p", postgres]
        started = run(
            [*start, "-o", options, "start"],
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=home,
            **user,
        )
        if started.returncode != 0:
            pytest.fail(f"PostgreSQL did not start:\n{(home / 'log').read_text()}")
        try:
            yield PostgresqlServer(port)
        finally:
            run([pg_ctl, "-D", data, "-m", "immediate", "-w", "stop"], check=False, cwd=home, **user)
    finally:
        shutil.rmtree(home, ignore_errors=True)
