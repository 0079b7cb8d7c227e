"""`campaign.sqlite`: what a folder knows of its campaigns, in tables that anybody may read.

The one idea: one writer (who holds the folder's lock) and changes in transactions, so that at every moment the file
says something true: SQLite's write-ahead log with a flush to the disk at each commit. Readers may come at any time.

    campaign   one row each: options, compiler, by which liftcheck, seconds, workers' deaths
    batch      tallies of complete batches: of one (`count` 1), or of GROUP, GROUP², … that lie beside one another.
               `is_cut`: the time was up in the midst of it, so a campaign that goes on does it again
    event      the journal: what came of batches, in the order in which it came (`journal.py` has the kinds)
    finding    the findings as they stand: key, folder, counts
    earlier    what was in the folder before its last campaign, never touched; of `coverage.json` the content

Tallies and bodies are JSON, packed by zlib. It knows nothing of what they mean, nor of findings' folders.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from liftcheck.errors import InputError, Unavailable

NAME: Final = "campaign.sqlite"
FORMAT: Final = 1
GROUP: Final = 64
FLUSHES: Final = "FULL"
"""At every commit: the log is on the disk before the commit returns."""
BUSY: Final = 10.0
"""Seconds to wait for a reader that holds the file in a way that stops writing (a backup, say)."""

_TABLES: Final = (
    """CREATE TABLE campaign(id INTEGER PRIMARY KEY, uid TEXT, options TEXT, compiler TEXT, made_by TEXT, began TEXT,
                             seconds REAL, reducing REAL, deaths INTEGER, is_merged INTEGER)""",
    """CREATE TABLE batch(campaign INTEGER, first INTEGER, count INTEGER, programs INTEGER, is_cut INTEGER, tally BLOB,
                          PRIMARY KEY(campaign, first, count)) WITHOUT ROWID""",
    "CREATE TABLE event(id INTEGER PRIMARY KEY, campaign INTEGER, batch INTEGER, kind TEXT, body BLOB)",
    """CREATE TABLE finding(campaign INTEGER, key TEXT, folder TEXT, class TEXT, isa TEXT, count INTEGER, seconds REAL,
                            reduced INTEGER, PRIMARY KEY(campaign, key)) WITHOUT ROWID""",
    "CREATE TABLE earlier(name TEXT PRIMARY KEY, content TEXT) WITHOUT ROWID",
    f"PRAGMA user_version={FORMAT}",
)

Statement = tuple[str, Sequence[Any]]
"""SQL and its parameters."""


def packed(data: object) -> bytes:
    """Plain data as the tables hold it."""
    return zlib.compress(json.dumps(data, separators=(",", ":")).encode(), 1)


def unpacked(data: bytes) -> Any:
    """The inverse; ValueError for anything else."""
    try:
        return json.loads(zlib.decompress(data))
    except (zlib.error, TypeError) as error:
        raise ValueError(str(error)) from error


class Database:
    """An open `campaign.sqlite`. sqlite3.Error from `write` leaves it as it was."""

    def __init__(self, path: Path, connection: sqlite3.Connection, is_writer: bool = False) -> None:
        self.path: Final = path
        self.is_writer: Final = is_writer
        self._connection: Final = connection

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The answer to a question. InputError if the file is damaged."""
        with _explained(self.path):
            return list(self._connection.execute(sql, parameters))

    def write(self, statements: Iterable[Statement]) -> None:
        """All of them or none, and on the disk when this returns."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for sql, parameters in statements:
                self._connection.execute(sql, parameters)
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """A writer puts all into the one file, if the disk and other readers let it: then who reads it later leaves no
        files beside it."""
        if self.is_writer:
            with suppress(sqlite3.Error):
                self._connection.execute("PRAGMA busy_timeout=100")
                self._connection.execute("PRAGMA journal_mode=DELETE")
        self._connection.close()


def make(path: Path) -> Database:
    """The folder's database, made if there is none; sqlite3.Error or InputError."""
    database = Database(path, sqlite3.connect(path, timeout=BUSY, isolation_level=None), is_writer=True)
    try:
        _prepare(database)
        _check(database)
    except sqlite3.OperationalError:  # no room, no right to write
        database.close()
        raise
    except sqlite3.DatabaseError as error:
        database.close()
        raise _damaged(path, error) from error
    except BaseException:
        database.close()
        raise
    return database


def _prepare(database: Database) -> None:
    connection = database._connection
    connection.execute(f"PRAGMA synchronous={FLUSHES}")
    is_new = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone() == (0,)
    connection.execute("PRAGMA journal_mode=WAL")
    if is_new:
        database.write((sql, ()) for sql in _TABLES)


def look(path: Path) -> Database:
    """The database, to be read: also where nothing may be written, and beside a campaign that goes on."""
    if not path.exists():
        raise InputError.at(f"no campaign here: there is no {NAME}", str(path.parent))
    uri = path.resolve().as_uri()
    for mode in ("mode=ro", "mode=ro&immutable=1"):
        database = Database(path, sqlite3.connect(f"{uri}?{mode}", timeout=BUSY, uri=True, isolation_level=None))
        try:
            database._connection.execute("SELECT COUNT(*) FROM sqlite_master")
            break
        except sqlite3.OperationalError:
            database.close()
        except sqlite3.DatabaseError as error:
            database.close()
            raise _damaged(path, error) from error
    else:
        raise Unavailable(f"{path} cannot be opened: is the folder readable?")
    _check(database)
    return database


def _check(database: Database) -> None:
    ((version,),) = database.rows("PRAGMA user_version")
    if version != FORMAT:
        raise InputError.at(
            f"format {version} is not {FORMAT}, the one this liftcheck reads"
            if version
            else "not the database of a campaign",
            str(database.path),
        )


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError.at(
        f"this database cannot be read ({error}); the findings' folders beside it can (`liftcheck replay`), "
        "and a campaign in another folder (--out) begins anew",
        str(path),
    )
