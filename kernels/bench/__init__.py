"""Benchmarks of every kernel in one table: `python -m minikimi_kernels.bench` (lesson 16)."""
