"""Mixed Contextual Self-Distillation, free of Hydra, W&B and lm-eval."""
