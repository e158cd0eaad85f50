"""What the store promises."""

import threading
import unittest

from kvd.store import Store


class Clock:
    """Time that goes only when told to."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Stores(unittest.TestCase):
    def setUp(self):
        self.clock = Clock()
        self.store = Store(3, self.clock)

    def test_what_is_set_can_be_got_until_it_is_deleted(self):
        self.store.set("a", "1")
        self.store.set("a", "2")
        self.assertEqual(self.store.get("a"), "2")
        self.assertTrue(self.store.delete("a"))
        self.assertFalse(self.store.delete("a"))
        self.assertIsNone(self.store.get("a"))

    def test_the_store_holds_its_capacity_and_no_more(self):
        for capacity in (1, 2, 5):
            store = Store(capacity, self.clock)
            for number in range(1, 8):
                store.set(f"k{number}", str(number))
                kept = range(max(1, number - capacity + 1), number + 1)
                self.assertEqual(store.keys(""), [f"k{n}" for n in kept], f"{number} keys, room for {capacity}")

    def test_setting_a_key_again_takes_no_more_room(self):
        for number in range(1, 4):
            self.store.set(f"k{number}", "old")
        self.store.set("k1", "new")
        self.assertEqual(self.store.keys("k"), ["k1", "k2", "k3"])
        self.store.set("k4", "new")
        self.assertEqual(self.store.keys("k"), ["k1", "k3", "k4"])

    def test_a_key_is_gone_when_its_time_is_over(self):
        self.store.set("a", "1", ttl=2)
        for later, value in [(0, "1"), (1.5, "1"), (2, None), (3, None)]:
            self.clock.now = 100.0 + later
            self.assertEqual(self.store.get("a"), value, f"after {later} s")

    def test_expiring_forgets_what_is_over_and_nothing_else(self):
        self.store.set("a", "1", ttl=1)
        self.store.set("b", "2", ttl=5)
        self.store.set("c", "3")
        self.clock.now += 1
        self.assertEqual(self.store.expire(), 1)

        def look():
            self.assertEqual(self.store.keys(""), ["b", "c"])
            seen.append(True)

        seen = []
        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        thread.join(2)
        self.assertEqual(seen, [True], "the store does not answer any more")
