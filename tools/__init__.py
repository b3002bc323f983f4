"""Tools of the project: generated documents, packages for the tests, type checks."""
