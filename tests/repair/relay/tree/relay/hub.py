"""Topics and who listens to them. A subscriber that does not keep up loses its oldest lines and delays nobody."""

import asyncio
import json
import pathlib


class Full(Exception):
    """A topic has as many subscribers as it may."""


def settings(directory=pathlib.Path(__file__).parent):
    """What the operator may set: lines that wait for one subscriber, and subscribers of one topic."""
    return json.loads((directory / "hub.json").read_text(encoding="utf-8"))


class Hub:
    """All topics of one relay."""

    def __init__(self, waiting=16, subscribers=20):
        self._waiting = waiting
        self._most = subscribers
        self._topics = {}

    def subscribe(self, topic):
        """A queue of what will be published."""
        queues = self._topics.setdefault(topic, [])
        if len(queues) >= self._most:
            raise Full(f"`{topic}` has {len(queues)} subscribers")
        queue = asyncio.Queue(self._waiting)
        queues.append(queue)
        return queue

    def unsubscribe(self, topic, queue):
        """Ends a subscription; ending it twice does nothing."""
        queues = self._topics.get(topic, [])
        if queue in queues:
            queues.remove(queue)
        if not queues:
            self._topics.pop(topic, None)

    async def publish(self, topic, text):
        """Gives a line to everybody who listens now, and tells to how many."""
        given = 0
        for queue in list(self._topics.get(topic, [])):
            await asyncio.sleep(0)
            if queue not in self._topics.get(topic, []):
                continue
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(text)
            given += 1
        return given

    def topics(self):
        """How many listen to each topic."""
        return {topic: len(queues) for topic, queues in self._topics.items()}
