"""Numbers and pictures of an experiment."""
