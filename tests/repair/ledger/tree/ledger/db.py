"""The database: where it is, how it is opened, and transactions that are always ended."""

import contextlib
import json
import pathlib
import sqlite3

HOME = pathlib.Path(__file__).resolve().parent
JOURNALS = ("WAL", "DELETE", "TRUNCATE")


def settings():
    """What the operator may set."""
    found = json.loads((HOME / "settings.json").read_text(encoding="utf-8"))
    if found["journal"] not in JOURNALS:
        raise ValueError(f"journal is {found['journal']!r}, which is none of {', '.join(JOURNALS)}")
    return found


def connect(file, busy_seconds):
    """A connection that waits so long for others, and changes nothing outside `change`."""
    connection = sqlite3.connect(file, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def prepare(connection, journal):
    """Makes what is not there yet."""
    connection.execute(f"PRAGMA journal_mode = {journal}")
    connection.executescript((HOME / "schema.sql").read_text(encoding="utf-8"))


@contextlib.contextmanager
def change(connection):
    """All that is done inside, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
