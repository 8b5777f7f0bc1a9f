"""The flagship on torch's devices: the same files as by `codecs`, byte for byte."""
