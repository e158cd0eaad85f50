"""Keys and values, some of them for a while only. Safe to use from many threads."""

import threading
import time


class Store:
    """At most so many keys; the one that was set first goes first. `clock` gives seconds."""

    def __init__(self, capacity=1000, clock=time.monotonic):
        self._capacity = capacity
        self._clock = clock
        self._lock = threading.Lock()
        self._entries = {}

    def set(self, key, value, ttl=None):
        """Sets a key, for `ttl` seconds or for good."""
        ends = None if ttl is None else self._clock() + ttl
        with self._lock:
            self._entries.pop(key, None)
            self._entries[key] = (value, ends)
            while len(self._entries) > self._capacity:
                self._entries.pop(next(iter(self._entries)))

    def get(self, key):
        """The value, or None."""
        with self._lock:
            value, ends = self._entries.get(key, (None, None))
            return None if ends is not None and ends <= self._clock() else value

    def delete(self, key):
        """Whether it was there."""
        with self._lock:
            return self._entries.pop(key, None) is not None

    def expire(self):
        """Forgets what is over, and tells how many keys that were."""
        with self._lock:
            now = self._clock()
            over = [key for key, (_, ends) in self._entries.items() if ends is not None and ends <= now]
            if not over:
                return 0
            for key in over:
                del self._entries[key]
            return len(over)

    def keys(self, prefix):
        """The keys that begin so, in order."""
        with self._lock:
            return sorted(key for key in self._entries if key.startswith(prefix))
