"""Accounts and transfers between them, kept in SQLite, over HTTP."""
