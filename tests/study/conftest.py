"""Fixtures of the study tests."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """URL of a PostgreSQL database: ``$ACTSEARCH_TEST_POSTGRESQL``, or a server started for the test where one is
    installed; the test is skipped where neither is."""
    if "ACTSEARCH_TEST_POSTGRESQL" in os.environ:
        yield os.environ["ACTSEARCH_TEST_POSTGRESQL"]
        return
    pytest.importorskip("psycopg2")
    initdb, control = shutil.which("initdb"), shutil.which("pg_ctl")
    user = _server_user()
    if initdb is None or control is None or user is None:
        pytest.skip("no PostgreSQL: set ACTSEARCH_TEST_POSTGRESQL or install a server")
    # not under pytest's own folder, which only the user of the test may enter
    folder = Path(tempfile.mkdtemp(prefix="actsearch-postgresql-"))
    shutil.chown(folder, user)

    def run(*command: str) -> None:
        subprocess.run(command, user=user, cwd=folder, check=True, capture_output=True)

    try:
        run(initdb, "-D", str(folder / "data"), "-U", "actsearch", "--auth=trust")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder}"
        run(control, "-D", str(folder / "data"), "-o", options, "-l", str(folder / "log"), "-w", "start")
        yield f"postgresql://actsearch@/postgres?host={folder}"
        run(control, "-D", str(folder / "data"), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _server_user() -> str | None:
    """Return who may run a server: anyone but root."""
    if os.getuid() != 0:
        return pwd.getpwuid(os.getuid()).pw_name
    return "postgres" if any(entry.pw_name == "postgres" for entry in pwd.getpwall()) else None
