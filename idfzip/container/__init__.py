"""Containers: the `.idfz` and `.idfm` files, and what is in them."""
