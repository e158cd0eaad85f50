"""Takes files of readings out of a directory, summarizes them, and keeps the latest."""
