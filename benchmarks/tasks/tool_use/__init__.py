"""Tool use: invented functions that a model learns to choose and to call."""
