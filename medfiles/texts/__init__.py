"""The text of documents: read from text layers, recognized in pictures, searched for the date of a document."""
