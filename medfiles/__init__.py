"""medfiles keeps the documents of a family's or clinic's medical records."""

__version__ = "0.1.0"
