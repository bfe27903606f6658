"""The words of a source, in turn."""

from minikimi.data import iterate_texts
from minikimi.world import PictureWorld


def test_texts_for_a_tokenizer():
    world = PictureWorld(seed=0)
    texts = list(iterate_texts(world, 3))
    assert texts[4:8] == [world[1].question, world[1].answer, world[1].caption, world[1].solution]
    assert len(texts) == 12
