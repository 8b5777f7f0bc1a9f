"""Training; needs torch."""
