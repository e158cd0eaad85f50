"""The book: accounts, transfers, balances and statements. Amounts are in cents, days are numbers."""

import sqlite3

from ledger.db import change


class Refused(Exception):
    """What was asked for cannot be done; nothing has changed."""


class Book:
    """The book in one database, used by one thread at a time."""

    def __init__(self, connection):
        self._connection = connection

    def open(self, name, overdraft=0):
        """Opens an account."""
        try:
            with change(self._connection):
                self._connection.execute("INSERT INTO accounts VALUES (?, ?)", (name, overdraft))
        except sqlite3.IntegrityError:
            raise Refused(f"the account `{name}` cannot be opened") from None

    def transfer(self, source, target, amount, day, reason=""):
        """Moves an amount; the source may go down to its overdraft."""
        if amount <= 0 or source == target:
            raise Refused("a transfer moves something to another account")
        with change(self._connection):
            limit = self._overdraft(source)
            self._overdraft(target)
            if self.balance(source) - amount < -limit:
                raise Refused(f"`{source}` has too little")
            for account, change_by in ((source, -amount), (target, amount)):
                self._connection.execute(
                    "INSERT INTO entries (account, day, amount, reason) VALUES (?, ?, ?, ?)",
                    (account, day, change_by, reason),
                )

    def balance(self, name):
        """What an account has."""
        return self._one("SELECT coalesce(sum(amount), 0) FROM entries WHERE account = ?", name)

    def statement(self, name, first, last):
        """The entries of an account from one day to another, both included, with the balance after each."""
        self._overdraft(name)
        before = self._one("SELECT coalesce(sum(amount), 0) FROM entries WHERE account = ? AND day < ?", name, first)
        rows = self._connection.execute(
            "SELECT day, amount, reason FROM entries WHERE account = ? AND day >= ? AND day <= ? ORDER BY day, number",
            (name, first, last),
        )
        lines = []
        for day, amount, reason in rows:
            before += amount
            lines.append((day, amount, reason, before))
        return lines

    def total(self):
        """The sum of all balances, which is nothing."""
        return self._one("SELECT coalesce(sum(amount), 0) FROM entries")

    def _overdraft(self, name):
        found = self._one("SELECT overdraft FROM accounts WHERE name = ?", name)
        if found is None:
            raise Refused(f"there is no account `{name}`")
        return found

    def _one(self, query, *arguments):
        row = self._connection.execute(query, arguments).fetchone()
        return None if row is None else row[0]
