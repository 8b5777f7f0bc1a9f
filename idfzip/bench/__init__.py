"""Comparison of codecs on images: what each makes of them, how fast, decoded and compared."""
