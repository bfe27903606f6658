"""Evaluation: exact match on held-out pictures beside two baselines that do not look, and the report (lesson 15)."""
