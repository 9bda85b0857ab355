"""What an operator runs or schedules: worker, backup, checks, copies, status."""
