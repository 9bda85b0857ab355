"""The engine, transactions, and SQLite's settings."""
