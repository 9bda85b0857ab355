"""The database-backed job queue, and the times when operations last ran."""
