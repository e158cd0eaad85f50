"""What the pool promises. Nothing here waits for ever: what hangs is an error after a while."""

import threading
import time
import unittest

from jobs.kinds import KINDS
from jobs.pool import Pool


def soon(action):
    """What `action` gives, on a thread of its own, if it ends at all."""
    results = []
    thread = threading.Thread(target=lambda: results.append(action()), daemon=True)
    thread.start()
    thread.join(3)
    if not results:
        raise AssertionError("it raised, or did not end in 3 s")
    return results[0]


class Pools(unittest.TestCase):
    def run_all(self, pool, *jobs):
        numbers = [pool.submit(kind, argument) for kind, argument in jobs]
        return [pool.wait(number, 3) for number in numbers]

    def test_results_come_back(self):
        def work():
            jobs = self.run_all(Pool(KINDS), ("mean", "1 3"), ("primes", "5"), ("words", "a a"))
            return [(job.state, job.result) for job in jobs]

        self.assertEqual(soon(work), [("done", 2.0), ("done", [2, 3, 5]), ("done", {"a": 2})])

    def test_a_job_that_fails_harms_no_other(self):
        def work():
            pool = Pool(KINDS, workers=2)
            jobs = self.run_all(pool, *[("mean", ""), ("mean", "x"), ("primes", "y"), ("mean", ""), ("mean", "1 3")])
            return [job.state for job in jobs], jobs[0].result, pool.figures()["workers"]

        states, result, workers = soon(work)
        self.assertEqual(states, ["failed"] * 4 + ["done"])
        self.assertEqual(result, "ZeroDivisionError: division by zero")
        self.assertEqual(workers, 2)

    def test_a_job_is_tried_as_often_as_was_said(self):
        for tries in (1, 2, 5):
            for succeeds_at in (1, 2, 4, 5, 6):
                calls = []

                def act(_, calls=calls, succeeds_at=succeeds_at):
                    calls.append(1)
                    if len(calls) < succeeds_at:
                        raise RuntimeError("not yet")
                    return len(calls)

                pool = Pool({"act": act}, workers=1, tries=tries)
                job = soon(lambda pool=pool: self.run_all(pool, ("act", ""))[0])
                self.assertEqual(job.state, "done" if succeeds_at <= tries else "failed")
                self.assertEqual(len(calls), min(tries, succeeds_at))
                self.assertEqual(job.tries, len(calls))

    def test_waiting_lasts_until_the_job_has_ended(self):
        pool = Pool({"slow": lambda text: time.sleep(0.3) or text}, workers=1)
        job = soon(lambda: self.run_all(pool, ("slow", "x"))[0])
        self.assertEqual((job.state, job.result), ("done", "x"))

    def test_waiting_ends_when_its_time_is_over(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        pool = Pool({"stuck": lambda _: gate.wait(10)}, workers=1)
        number = pool.submit("stuck", "")
        self.assertEqual(soon(lambda: pool.wait(number, 0.05)).state, "waiting")

    def test_only_the_latest_jobs_are_remembered(self):
        def work():
            pool = Pool(KINDS, workers=1, history=5)
            numbers = [pool.submit("mean", str(n)) for n in range(12)]
            last = pool.wait(numbers[-1], 3)
            return numbers, last, pool

        numbers, last, pool = soon(work)
        self.assertEqual(last.result, 11.0)
        self.assertEqual(soon(pool.figures)["remembered"], 5)
        self.assertEqual([soon(lambda n=n: pool.wait(n, 1)).result for n in numbers[-5:]], [7.0, 8.0, 9.0, 10.0, 11.0])
        for number in numbers[:-5]:
            with self.assertRaises(LookupError):
                pool.wait(number, 1)

    def test_jobs_that_wait_are_counted(self):
        gate = threading.Event()
        pool = Pool({"gate": lambda _: gate.wait(10)}, workers=1)
        numbers = [pool.submit("gate", "") for _ in range(3)]
        self.assertEqual(soon(pool.figures), {"workers": 1, "remembered": 3, "waiting": 3})
        gate.set()
        soon(lambda: [pool.wait(number, 3) for number in numbers])
        self.assertEqual(soon(pool.figures), {"workers": 1, "remembered": 3, "waiting": 0})

    def test_what_is_not_there_is_said(self):
        pool = Pool(KINDS)
        with self.assertRaises(LookupError):
            pool.submit("dance", "")
        with self.assertRaises(LookupError):
            pool.wait(99, 1)

    def test_closing_works_off_the_queue(self):
        def work():
            done = []
            pool = Pool({"note": done.append}, workers=2)
            for number in range(20):
                pool.submit("note", number)
            pool.close()
            return sorted(done), pool.figures()["workers"]

        self.assertEqual(soon(work), (list(range(20)), 0))
