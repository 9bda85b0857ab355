"""The engine, transactions, and what SQLite needs."""
