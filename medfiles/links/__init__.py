"""Share links: readers without an account open documents of one patient, and the sender sees who opened what."""
