"""Factual recall in an invented world."""
