"""The job queue in the database, and when recurring jobs last ran."""
