"""The Kimi-VL network. Reading order: patches, rope, moonvit, projector, attention, moe, decoder, kimi_vl (lessons 01
to 07).
"""
