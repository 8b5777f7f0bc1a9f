"""Priors: distributions of integers, in integers."""
