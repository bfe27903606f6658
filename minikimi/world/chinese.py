"""Names and questions in Chinese: one sample in six of `count`, `group`, `flag` and `number` speaks it (lesson 09).

The Kimi-VL report's data is in English and Chinese (arXiv 2504.07491, section 3.1). Everyday short names, so that 120
characters do for all: a byte-level tokenizer has to spell most of them in three tokens.
"""

# ruff: noqa: RUF001 -- the full-width question mark is Chinese, not a mistaken Latin one
from __future__ import annotations

from minikimi.world.canvas import Rng
from minikimi.world.vocabulary import COUNTRIES, GROUPS

SHARE = 1 / 6

# English name of a group -> its Chinese name, then those of its pictures in the order of `vocabulary.GROUPS`.
GROUP_LINES = {
    "animal": "动物 猫 狗 鱼 大象 龟 章鱼 蛙 猪",
    "food": "食物 披萨 苹果 香蕉 奶酪 萝卜 梨 汉堡 甜甜圈",
    "vehicle": "交通工具 汽车 巴士 单车 火车 飞机 火箭 拖拉机 直升机",
    "clothes": "衣服 上衣 裙 礼帽 袜 围巾 大衣 帽 靴",
    "tool": "工具 锤 锯 扳手 钥匙 梯 磁铁 扫把 桶",
    "sky": "天空 太阳 月亮 星星 云 彩虹 雪花 行星 彗星",
}
COUNTRY_LINE = "日本 法国 德国 意大利 瑞典 瑞士 加拿大 巴西 印度 中国 英国 美国 希腊 土耳其 韩国 牙买加"

COUNT_QUESTIONS = ["有几个{}？", "{}有几个？"]
GROUP_QUESTIONS = ["这是哪一类？", "是哪一类？"]
FLAG_QUESTIONS = ["这是哪国国旗？", "国旗是哪国？"]
NUMBER_QUESTIONS = ["这是什么数字？", "数字是几？"]


def language(rng: Rng) -> str:
    """`zh` for one sample in six, else `en`."""
    return "zh" if rng.random() < SHARE else "en"


def _names() -> dict[str, str]:
    """English -> Chinese for all groups, pictures and countries."""
    names = dict(zip(COUNTRIES, COUNTRY_LINE.split(), strict=True))
    for group, members in GROUPS.items():
        names |= dict(zip([group, *members], GROUP_LINES[group].split(), strict=True))
    return names


CHINESE = _names()


def tally(words: list[str]) -> str:
    """Chinese names in reading order -> `3个猫, 1个披萨`, each where it first appears."""
    return ", ".join(f"{words.count(word)}个{word}" for word in dict.fromkeys(words))
