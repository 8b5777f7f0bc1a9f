"""Codecs: each turns tiles into bytes and back (`encode`, `decode`)."""
