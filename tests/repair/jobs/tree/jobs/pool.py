"""Threads that work off a queue. Nothing a job does ends a thread or holds up the others."""

import collections
import itertools
import queue
import threading


class Job:
    """One job: `waiting`, then `done` with a result or `failed` with what went wrong."""

    def __init__(self, number, kind, argument):
        self.number = number
        self.kind = kind
        self.argument = argument
        self.state = "waiting"
        self.result = None
        self.tries = 0


class Pool:
    """So many workers; a job that fails is tried so many times; so many finished jobs are remembered."""

    def __init__(self, kinds, workers=3, tries=3, history=40):
        self._kinds = kinds
        self._tries = tries
        self._history = history
        self._queue = queue.Queue()
        self._changed = threading.Condition(threading.Lock())
        self._jobs = {}
        self._finished = collections.deque()
        self._numbers = itertools.count(1)
        self._workers = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]
        for worker in self._workers:
            worker.start()

    def submit(self, kind, argument):
        """The number of a new job."""
        if kind not in self._kinds:
            raise LookupError(f"there is no kind `{kind}`")
        with self._changed:
            job = Job(next(self._numbers), kind, argument)
            self._jobs[job.number] = job
        self._queue.put(job)
        return job.number

    def wait(self, number, timeout):
        """The job when it has ended, or as it is after so many seconds."""
        with self._changed:
            if number not in self._jobs:
                raise LookupError(f"there is no job {number}")
            job = self._jobs[number]
            self._changed.wait_for(lambda: job.state != "waiting", timeout)
            return job

    def figures(self):
        """How many workers live, and how many jobs are remembered and wait."""
        alive = sum(worker.is_alive() for worker in self._workers)
        with self._changed:
            return {"workers": alive, "remembered": len(self._jobs), "waiting": self._waiting()}

    def close(self):
        """Ends the workers when the queue is worked off."""
        for _ in self._workers:
            self._queue.put(None)
        for worker in self._workers:
            worker.join()

    def _waiting(self):
        return len(self._jobs) - len(self._finished)

    def _work(self):
        while (job := self._queue.get()) is not None:
            self._run(job)

    def _run(self, job):
        state, result = "failed", None
        for tries in range(1, self._tries + 1):
            job.tries = tries
            try:
                state, result = "done", self._kinds[job.kind](job.argument)
                break
            except Exception as problem:
                state, result = "failed", f"{type(problem).__name__}: {problem}"
        with self._changed:
            job.state, job.result = state, result
            self._finished.append(job.number)
            while len(self._finished) > self._history:
                del self._jobs[self._finished.popleft()]
            self._changed.notify_all()
