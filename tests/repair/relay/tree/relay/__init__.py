"""Passes lines from publishers to subscribers of a topic, with asyncio."""
