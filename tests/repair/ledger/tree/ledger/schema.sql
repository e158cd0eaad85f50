CREATE TABLE IF NOT EXISTS accounts (
    name TEXT PRIMARY KEY,
    overdraft INTEGER NOT NULL DEFAULT 0 CHECK (overdraft >= 0)
);
CREATE TABLE IF NOT EXISTS entries (
    number INTEGER PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (name),
    day INTEGER NOT NULL,
    amount INTEGER NOT NULL CHECK (amount <> 0),
    reason TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS entries_of_accounts ON entries (account, day);
