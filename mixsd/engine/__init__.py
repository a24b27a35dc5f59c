"""The engine every method shares: models, training, probing, the run store, and a run's stages."""
