"""Cluster validity as pure JAX functions."""
