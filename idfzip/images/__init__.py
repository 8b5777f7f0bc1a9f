"""Images: pixels, where they came from, and what goes with them."""
