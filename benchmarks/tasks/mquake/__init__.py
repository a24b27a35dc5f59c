"""Knowledge editing."""
