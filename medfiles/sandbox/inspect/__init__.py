"""What the bytes of a file really are: one module per family of formats, run only inside a sandbox worker."""
