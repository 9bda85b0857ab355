"""Operations that an operator runs or schedules: worker, backups, checks, copies and status."""
