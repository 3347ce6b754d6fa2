"""Heads that speak side by side, with their curves, on one page that needs nothing else."""
