"""The output head with its cross-entropy, without the logits of all tokens (lessons 07 and 16)."""
