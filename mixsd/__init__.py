"""MixSD Bench: inject knowledge into a language model, measure what it learned and what it forgot."""

__version__ = "0.1.0"
