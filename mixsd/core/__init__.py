"""What every layer stands on: no torch, no Hydra, nothing of ours imported."""
