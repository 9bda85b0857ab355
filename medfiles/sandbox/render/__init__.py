"""What the bytes of a document look like: one module per family of formats, run only inside a sandbox worker."""
