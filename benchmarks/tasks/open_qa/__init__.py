"""Open-domain question answering."""
