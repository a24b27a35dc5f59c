"""Edits of published sets: CounterFact, zsRE, RippleEdits."""
