"""The retention axis: held-out tasks through lm-eval."""
