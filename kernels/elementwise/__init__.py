"""Layers bound by memory: norms, rotary embedding, SwiGLU (lesson 16)."""
