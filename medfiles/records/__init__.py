"""Patients, their records, and sharing with other accounts."""
