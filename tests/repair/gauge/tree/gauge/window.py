"""What was measured in the last seconds. Series that are not heard of any more are forgotten."""

import collections
import math
import threading
import time


class Full(Exception):
    """There is no room for another series."""


def percentile(values, percent):
    """The smallest value that so many percent of the values do not exceed (nearest rank). `values` are in order."""
    return values[max(0, math.ceil(len(values) * percent / 100) - 1)]


class Window:
    """Measurements of the last `seconds`, of at most so many series. `clock` gives seconds."""

    def __init__(self, seconds=1.0, series=60, clock=time.monotonic):
        self._seconds = seconds
        self._most = series
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds = {}
        self._values = {}

    def add(self, name, kind, value):
        """Takes one measurement."""
        with self._lock:
            if name not in self._kinds and len(self._kinds) >= self._most:
                raise Full(f"there are {len(self._kinds)} series already")
            self._kinds.setdefault(name, kind)
            self._values.setdefault(name, collections.deque()).append((self._clock(), value))

    def sweep(self):
        """Forgets what is older than the window."""
        with self._lock:
            oldest = self._clock() - self._seconds
            for name, values in list(self._values.items()):
                while values and values[0][0] <= oldest:
                    values.popleft()
                if not values:
                    del self._values[name], self._kinds[name]

    def figures(self):
        """For each series what its kind has to say."""
        self.sweep()
        with self._lock:
            series = {name: (self._kinds[name], [value for _, value in values]) for name, values in self._values.items()}
        return {name: self._figure(kind, values) for name, (kind, values) in series.items()}

    def _figure(self, kind, values):
        if kind == "c":
            return {"rate": sum(values) / self._seconds}
        if kind == "g":
            return {"last": values[-1]}
        ordered = sorted(values)
        return {
            "count": len(ordered),
            "p50": percentile(ordered, 50),
            "p95": percentile(ordered, 95),
            "max": ordered[-1],
        }
