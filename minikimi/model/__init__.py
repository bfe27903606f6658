"""The Kimi-VL network (lessons 01 to 07).

Reading order: patches, rope, moonvit, projector, attention, moe, decoder, kimi_vl; beside them config, checkpoint and
ops, the seam to the kernels. Shape letters, here and everywhere: `B` batch, `T` text positions, `P` patches, `N`
images, `S` segments, `D` width, `H` heads, `d` head width, `E` experts, `K` experts per token, `V` vocabulary, `R`
latent rank.
"""
