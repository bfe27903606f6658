"""Inference: tokens out of a model, one after another (lesson 05)."""
