"""The lessons that are planned and not written yet: what may be named by number although it cannot be opened."""

PLANNED = {
    "09": "Data",
    "10": "ViT training and alignment",
    "11": "Joint pre-training and cooldown",
    "12": "Long context",
    "13": "Supervised fine-tuning and long chain of thought",
    "14": "The reinforcement-learning loop",
    "15": "Evaluation and test-time scaling",
    "16": "Triton kernels",
    "17": "From toy to 16B",
}
