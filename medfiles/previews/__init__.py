"""What a document looks like: service, cache, renderer."""
