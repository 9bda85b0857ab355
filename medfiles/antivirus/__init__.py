"""The ClamAV client, and the policy for scan results."""
