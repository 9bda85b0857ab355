"""SMART Health Links: apps of doctors fetch documents of a share link, encrypted, as FHIR (HL7 SMART Health Links 1.0).

The encrypted copy is made once, by a job, and stored as an object. Only the link itself holds the key.
"""
