"""A chat model and how it is read."""
