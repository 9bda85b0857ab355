"""The database handle, transactions and SQLite configuration."""
