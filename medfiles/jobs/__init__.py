"""The job queue in the database, and when recurring work last ran."""
