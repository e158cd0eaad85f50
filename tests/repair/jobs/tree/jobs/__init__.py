"""Runs jobs on a few threads, keeps the latest results, and answers over HTTP."""
