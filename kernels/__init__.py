"""Triton kernels of minikimi, each beside its plain torch reference (lesson 16). Imports nothing of `minikimi`."""
