"""Facts of a user's own file."""
