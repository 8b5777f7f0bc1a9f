"""Flows: invertible maps of integers, their orders and contexts."""
