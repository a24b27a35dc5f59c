"""Hydra, the trainer, and the stages of a run."""
