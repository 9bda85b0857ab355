"""medfiles stores medical record documents for families and clinics."""

__version__ = "0.1.0"
