"""Find documents, records and patients by their words."""
