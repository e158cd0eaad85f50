"""What the hub promises."""

import asyncio
import unittest

from relay.hub import Full, Hub, settings


def drain(queue):
    """What waits in a queue."""
    return [queue.get_nowait() for _ in range(queue.qsize())]


class Hubs(unittest.IsolatedAsyncioTestCase):
    async def publish(self, hub, topic, *texts):
        return [await asyncio.wait_for(hub.publish(topic, text), 2) for text in texts]

    async def test_everybody_who_listens_gets_every_line_in_order(self):
        hub = Hub()
        queues = [hub.subscribe("a") for _ in range(3)] + [hub.subscribe("b")]
        self.assertEqual(await self.publish(hub, "a", "1", "2", "3"), [3, 3, 3])
        self.assertEqual([drain(queue) for queue in queues], [["1", "2", "3"]] * 3 + [[]])

    async def test_nobody_listens_to_what_nobody_subscribed_to(self):
        self.assertEqual(await self.publish(Hub(), "a", "1"), [0])

    async def test_who_does_not_keep_up_loses_the_oldest_lines(self):
        for waiting in (1, 2, 5):
            hub = Hub(waiting=waiting)
            slow, other = hub.subscribe("a"), hub.subscribe("a")
            for number in range(1, 8):
                self.assertEqual(await self.publish(hub, "a", str(number)), [2])
                self.assertEqual(drain(other), [str(number)])
            self.assertEqual(drain(slow), [str(n) for n in range(8 - waiting, 8)])

    async def test_subscribers_may_come_and_go_while_a_line_is_published(self):
        for leaves, comes in [(0, True), (1, True), (3, True), (0, False), (2, False)]:
            hub = Hub()
            queues = [hub.subscribe("a") for _ in range(4)]
            task = asyncio.create_task(hub.publish("a", "x"))
            await asyncio.sleep(0)
            hub.unsubscribe("a", queues[leaves])
            late = hub.subscribe("a") if comes else asyncio.Queue()
            await asyncio.wait_for(task, 2)
            for queue in queues[:leaves] + queues[leaves + 1 :]:
                self.assertEqual(drain(queue), ["x"], f"number {leaves} left")
            self.assertEqual(drain(late), [], "it came after the line")

    async def test_a_topic_has_a_limit_of_subscribers(self):
        for most in (1, 3):
            hub = Hub(subscribers=most)
            queues = [hub.subscribe("a") for _ in range(most)]
            with self.assertRaises(Full):
                hub.subscribe("a")
            hub.subscribe("b")
            hub.unsubscribe("a", queues[0])
            hub.subscribe("a")
            self.assertEqual(hub.topics(), {"a": most, "b": 1})

    async def test_a_subscription_ends_once(self):
        hub = Hub()
        first, second = hub.subscribe("a"), hub.subscribe("a")
        hub.unsubscribe("a", first)
        hub.unsubscribe("a", first)
        self.assertEqual(await self.publish(hub, "a", "1"), [1])
        self.assertEqual((drain(first), drain(second)), ([], ["1"]))
        hub.unsubscribe("a", second)
        self.assertEqual(hub.topics(), {})

    def test_the_settings_that_are_shipped_fit_the_hub(self):
        self.assertEqual(Hub(**settings()).topics(), {})
