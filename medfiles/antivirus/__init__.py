"""The ClamAV client, and what a scan result means for a document."""
