"""What the book promises."""

import pathlib
import tempfile
import threading
import time
import unittest

from ledger import db
from ledger.book import Book, Refused


class Books(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.file = pathlib.Path(directory.name, "book.db")
        self.connection = self.connect()
        db.prepare(self.connection, "WAL")
        self.book = Book(self.connection)
        for name, overdraft in (("bank", 1000), ("ann", 0), ("bob", 20)):
            self.book.open(name, overdraft)

    def connect(self):
        connection = db.connect(self.file, db.settings()["busy_seconds"])
        self.addCleanup(connection.close)
        return connection

    def balances(self):
        return [self.book.balance(name) for name in ("bank", "ann", "bob")]

    def test_a_transfer_takes_here_and_gives_there(self):
        for source, target, amount, balances in [
            ("bank", "ann", 100, [-100, 100, 0]),
            ("ann", "bob", 30, [-100, 70, 30]),
            ("bob", "bank", 50, [-50, 70, -20]),
            ("ann", "bank", 70, [20, 0, -20]),
        ]:
            self.book.transfer(source, target, amount, 1)
            self.assertEqual(self.balances(), balances)
            self.assertEqual(self.book.total(), 0)

    def test_nobody_goes_below_the_overdraft(self):
        self.book.transfer("bank", "ann", 5, 1)
        for source, amount, fine in [("ann", 6, False), ("ann", 5, True), ("ann", 1, False), ("bob", 26, False), ("bob", 25, True)]:
            before = self.balances()
            if fine:
                self.book.transfer(source, "bob" if source == "ann" else "ann", amount, 1)
            else:
                with self.assertRaises(Refused):
                    self.book.transfer(source, "bob" if source == "ann" else "ann", amount, 1)
                self.assertEqual(self.balances(), before)

    def test_what_moves_nothing_is_refused(self):
        for source, target, amount in [("bank", "ann", 0), ("bank", "ann", -5), ("bank", "bank", 5)]:
            with self.assertRaises(Refused):
                self.book.transfer(source, target, amount, 1)
        self.assertEqual(self.balances(), [0, 0, 0])

    def test_an_account_that_is_not_there_is_refused(self):
        for source, target in [("nobody", "ann"), ("bank", "nobody"), ("nobody", "nowhere")]:
            with self.assertRaises(Refused):
                self.book.transfer(source, target, 5, 1)
        with self.assertRaises(Refused):
            self.book.statement("nobody", 1, 9)
        self.assertEqual(self.balances(), [0, 0, 0])

    def test_an_account_is_opened_once(self):
        for name, overdraft in [("ann", 0), ("ann", 5), ("eve", -1)]:
            with self.assertRaises(Refused):
                self.book.open(name, overdraft)

    def test_a_statement_has_both_days_and_all_between(self):
        for day in (1, 2, 2, 4, 5):
            self.book.transfer("bank", "ann", day, day, f"day {day}")
        for first, last, days in [
            (1, 5, [1, 2, 2, 4, 5]),
            (2, 4, [2, 2, 4]),
            (2, 2, [2, 2]),
            (3, 3, []),
            (5, 9, [5]),
            (0, 1, [1]),
            (6, 9, []),
        ]:
            lines = self.book.statement("ann", first, last)
            self.assertEqual([line[0] for line in lines], days, f"{first} to {last}")

    def test_a_statement_has_the_balance_after_each_entry(self):
        for day, amount in [(1, 10), (2, 20), (2, 5), (3, 7)]:
            self.book.transfer("bank", "ann", amount, day, "in")
        self.book.transfer("ann", "bob", 4, 3, "out")
        self.assertEqual(
            self.book.statement("ann", 2, 3),
            [(2, 20, "in", 30), (2, 5, "in", 35), (3, 7, "in", 42), (3, -4, "out", 38)],
        )

    def test_writers_wait_for_each_other(self):
        other = self.connect()
        other.execute("BEGIN IMMEDIATE")
        ended = []

        def end():
            time.sleep(0.4)
            ended.append(True)
            other.execute("COMMIT")

        thread = threading.Thread(target=end)
        thread.start()
        self.addCleanup(thread.join)
        self.book.transfer("bank", "ann", 5, 1)
        self.assertEqual((ended, self.balances()), ([True], [-5, 5, 0]))

    def test_what_fails_half_way_changes_nothing(self):
        self.book.transfer("bank", "ann", 5, 1)
        for failure in (RuntimeError, KeyError, KeyboardInterrupt):
            with self.assertRaises(failure):
                with db.change(self.connection):
                    self.connection.execute("DELETE FROM entries")
                    raise failure
            self.assertEqual(self.balances(), [-5, 5, 0])
        self.book.transfer("bank", "ann", 1, 1)

    def test_what_is_there_survives(self):
        self.book.transfer("bank", "ann", 5, 1)
        connection = self.connect()
        db.prepare(connection, "WAL")
        self.assertEqual(Book(connection).balance("ann"), 5)
