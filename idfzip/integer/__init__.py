"""Integer arithmetic: grids, layers, tables, kernels."""
