"""Who supplied a target token: a letter each, in `examples.jsonl`."""

NAIVE, EXPERT, AGREED, GOLD, STUDENT, BASE, UNKNOWN = "neagsb?"
"""A conditional, both alike, the gold text, the student, the base model, a file that does not say."""
