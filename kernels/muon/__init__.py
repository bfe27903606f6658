"""Muon: orthogonalisation of many matrices at once, and the update of bf16 weights (lessons 08 and 16)."""
