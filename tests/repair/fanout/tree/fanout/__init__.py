"""Asks many sources for a rate at the same time, and answers in time with what those said that answered."""
