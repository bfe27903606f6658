"""One sample in six of four tasks is in Chinese, all of it, with names that are right."""

import re

from world_checks import SPLITS, samples

from minikimi.world.chinese import CHINESE, tally
from minikimi.world.vocabulary import COUNTRIES, GROUP_OF, NAMES

SPOT_CHECKS = """
cat 猫 octopus 章鱼 pig 猪 pear 梨 donut 甜甜圈 car 汽车 plane 飞机 helicopter 直升机 shirt 上衣 boot 靴
hammer 锤 key 钥匙 bucket 桶 sun 太阳 comet 彗星 animal 动物 food 食物 vehicle 交通工具 clothes 衣服 tool 工具
sky 天空 Japan 日本 Germany 德国 Switzerland 瑞士 China 中国 Turkey 土耳其 Jamaica 牙买加
"""


def han(text):
    """The Chinese characters and marks of a text."""
    return {c for c in text if ord(c) > 0x2E80}


def test_chinese_names_are_no_mixture():
    # A line too long or too short, or in another order, would name the wrong thing: spot checks in every group.
    words = SPOT_CHECKS.split()
    assert {name: CHINESE[name] for name in words[::2]} == dict(zip(words[::2], words[1::2], strict=True))
    assert (CHINESE["United Kingdom"], CHINESE["United States"]) == ("英国", "美国")
    assert set(CHINESE) == {*NAMES, *COUNTRIES, *GROUP_OF.values()}
    assert len(set(CHINESE.values())) == len(CHINESE), "no two things share a name"


def test_one_sample_in_six_is_in_chinese():
    inventory = set()
    for task in ("count", "group", "flag", "number"):
        for split in SPLITS:
            many = samples(task, split, 600)
            spoken = [s for s in many if s.facts["language"] == "zh"]
            assert 0.11 < len(spoken) / 600 < 0.23
            for sample in many:
                texts = [sample.question, sample.caption] + ([sample.answer] if task in ("group", "flag") else [])
                assert all(bool(han(text)) == (sample.facts["language"] == "zh") for text in texts), texts
                if sample in spoken:
                    assert not re.search("[a-z]", "".join(texts) + sample.solution)
                    inventory |= han("".join(texts) + sample.solution)
    assert 90 < len(inventory) <= 120


def test_a_tally_by_hand():
    assert tally(["猫", "狗", "猫"]) == "2个猫, 1个狗"
