"""The people of the sample city: volunteers, elders and officers of 环翠区.

Owns: names, volunteer numbers, neighbourhoods and homes. Refuses: what anybody did (see
records.py).
Rules: names are put together from common surnames and given names, and nobody is meant; the same
seed gives the same people, and a smaller city is the beginning of a larger one.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

DISTRICT = "huancui"
ID_TYPE = "志愿者证"
WANG = "wang-ayi"
"""王阿姨, who brings medicine to 12栋 every Wednesday."""
NAMED_VOLUNTEERS = 200
"""Volunteers besides 王阿姨 of whom personal data is kept."""

NEIGHBOURHOODS: Sequence[tuple[str, str]] = (
    ("shuncheng", "顺城里小区"),
    ("haiyan", "海晏里小区"),
    ("songtao", "松涛里小区"),
    ("yutang", "渔塘新村"),
    ("chaoyang", "朝阳坡小区"),
    ("dengta", "灯塔里小区"),
    ("fanying", "帆影小区"),
    ("gangwan", "港湾新村"),
    ("guihua", "桂花里小区"),
    ("hehuan", "合欢里小区"),
    ("huaishu", "槐树里小区"),
    ("jinxiu", "锦绣坊小区"),
    ("liangguang", "亮光新村"),
    ("lianhua", "莲花里小区"),
    ("meihua", "梅花坞小区"),
    ("minghu", "明湖新村"),
    ("nanpo", "南坡里小区"),
    ("pingan", "平安巷小区"),
    ("qingquan", "清泉里小区"),
    ("rongshu", "榕树里小区"),
    ("shiqiao", "石桥里小区"),
    ("tianhe", "田禾新村"),
    ("wangchao", "望潮小区"),
    ("xinglin", "杏林里小区"),
    ("yangliu", "杨柳里小区"),
    ("yinsha", "银沙滩小区"),
    ("yuanlin", "园林新村"),
    ("zhulin", "竹林里小区"),
)
"""28 old neighbourhoods 老旧小区: the part of a home unit, and the name for people to read."""

ELDERS_HOME = f"{DISTRICT}/shuncheng/12"
ELDERS = (
    ("elder-1", "丛桂兰"),
    ("elder-2", "于德海"),
    ("elder-3", "毕秀英"),
    ("elder-4", "邹永福"),
    ("elder-5", "戚玉珍"),
)
"""Five elders who live alone in 12栋."""


_SURNAMES = tuple(
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕丛毕邹戚"
)
_FIRST = tuple("建志文国秀玉海春明丽晓永桂立红庆俊雪慧淑振少云宏佳金子思雨")
_SECOND = tuple("军强伟芳英梅华兰珍敏涛波辉平霞燕娟玲杰峰鹏宁超凤琴莉欣怡涵轩")


class Person(NamedTuple):
    """A member: the volunteer number, the home, and the name when personal data is kept."""

    member_id: str
    home_unit: str
    name: str = ""
    key_elder: bool = False
    publish_name: bool = False

    @property
    def id_number(self) -> str:
        """Gives the number of a made-up volunteer's card."""
        return f"HC-{self.member_id.upper()}"


def made_up_name(seed: int, number: int) -> str:
    """Puts a name together from common surnames and given names."""
    chosen = random.Random(f"{seed}/name/{number}")
    second = chosen.choice(_SECOND) if chosen.random() < 0.8 else ""
    return chosen.choice(_SURNAMES) + chosen.choice(_FIRST) + second


def volunteer_id(number: int) -> str:
    """Gives the volunteer number of the volunteer so numbered, from 1."""
    return f"v-{number:04}"


def neighbourhood_of(number: int) -> str:
    """Gives the neighbourhood of a volunteer: one after the other, so that each has some."""
    return NEIGHBOURHOODS[number % len(NEIGHBOURHOODS)][0]


def make_volunteers(seed: int, count: int) -> list[Person]:
    """Makes `count` volunteers, 王阿姨 first; personal data is kept of her and of 200 more."""
    people = [Person(WANG, f"{DISTRICT}/shuncheng", "王秀兰", publish_name=True)]
    for number in range(1, count):
        name = made_up_name(seed, number) if number <= NAMED_VOLUNTEERS else ""
        people.append(
            Person(
                volunteer_id(number),
                f"{DISTRICT}/{neighbourhood_of(number)}",
                name,
                publish_name=number % 3 == 0,
            )
        )
    return people


def make_elders() -> list[Person]:
    """Makes the five elders of 12栋, key elders 重点老人 all."""
    return [Person(elder, ELDERS_HOME, name, key_elder=True) for elder, name in ELDERS]


def officer_of(neighbourhood: str, number: int) -> str:
    """Gives the id of an officer of a neighbourhood, who is the first or the second."""
    return f"o-{neighbourhood}-{number}"


def name_of_neighbourhood(part: str) -> str:
    """Gives the Chinese name of a neighbourhood, or the part itself when it is none of the city."""
    return dict(NEIGHBOURHOODS).get(part, part)
