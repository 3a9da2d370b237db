"""Makes a file of TimeOverflow transfers with everything that real files contain, from a seed.

Run `python -m tests.support.timeoverflow FILE --rows 10000 --seed 7 [--encoding gb18030]`. The
same arguments give the same bytes. About one row in fifty is an exact duplicate of the one above,
one in a hundred each moves nothing, has a fraction of a minute, or is negative; reasons hold
Chinese names, quotes, delimiters and line breaks; givers run into debt. `--clean` leaves out what
cannot be booked.
"""

import argparse
import csv
import datetime
import random
from collections.abc import Iterator
from pathlib import Path

COLUMNS = (
    "source_id",
    "source_type",
    "destination_id",
    "destination_type",
    "amount",
    "created_at",
    "reason",
    "post_id",
)
START = datetime.datetime(2019, 1, 1, 8, tzinfo=datetime.UTC)
SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾萧田董潘袁于余叶"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰建国志云鹏飞鑫雪梅"
TASKS = ("陪护老人", "打扫卫生", "代购药品", "理发", "lectura de cartas", "辅导作业", "修理家电")
ORGANISATION_EVERY = 25
MEMBERS_MIN = 20
ROWS_PER_MEMBER = 50


def transfers(rows: int, seed: int, *, clean: bool = False) -> Iterator[tuple[str, ...]]:
    """Yields the rows of a file, in order of their dates."""
    chance = random.Random(seed)
    members = max(MEMBERS_MIN, rows // ROWS_PER_MEMBER)
    previous: tuple[str, ...] | None = None
    for position in range(rows):
        fate = chance.random()
        if previous is not None and fate < 0.02:
            yield previous
            continue
        seconds = 60 * chance.choice((15, 30, 45, 60, 90, 120, 180, chance.randint(1, 480)))
        if not clean:
            seconds = _spoilt(seconds, fate, chance)
        previous = _transfer(position, seconds, members, chance)
        yield previous


def _spoilt(seconds: int, fate: float, chance: random.Random) -> int:
    """Turns three rows in a hundred into one that moves nothing, a fraction of a minute, or less
    than nothing.
    """
    if fate < 0.03:
        return 0
    if fate < 0.04:
        return seconds + chance.randint(1, 59)
    return -seconds if fate < 0.05 else seconds


def _transfer(position: int, seconds: int, members: int, chance: random.Random) -> tuple[str, ...]:
    giver, receiver = chance.sample(range(1, members + 1), 2)
    source, destination = (str(giver), "Member"), (str(receiver), "Member")
    if position % ORGANISATION_EVERY == 0:
        source = ("1", "Organization")
    elif position % ORGANISATION_EVERY == 1:
        destination = ("1", "Organization")
    time = START + datetime.timedelta(minutes=20 * position, seconds=chance.randint(0, 59))
    post = str(chance.randint(1, 900)) if chance.random() < 0.7 else ""
    return (
        *source,
        *destination,
        str(seconds),
        f"{time:%Y-%m-%d %H:%M:%S} UTC",
        _reason(chance),
        post,
    )


def _reason(chance: random.Random) -> str:
    name = chance.choice(SURNAMES) + "".join(chance.choices(GIVEN, k=chance.randint(1, 2)))
    text = f"{name}：{chance.choice(TASKS)}"
    ending = chance.random()
    if ending < 0.05:
        return f'{text}，"谢谢"; merci, gràcies'
    return f"{text}\n第二天继续" if ending < 0.08 else text


def write(
    path: Path,
    *,
    rows: int,
    seed: int,
    encoding: str = "utf-8",
    delimiter: str = ",",
    clean: bool = False,
) -> None:
    """Writes a file of so many rows and a heading."""
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(COLUMNS)
        writer.writerows(transfers(rows, seed, clean=clean))


def main() -> None:
    """Reads the command line and writes the file."""
    parser = argparse.ArgumentParser(description="Make a file of TimeOverflow transfers.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--encoding", default="utf-8")
    parser.add_argument("--delimiter", default=",")
    parser.add_argument("--clean", action="store_true", help="only rows that can be booked")
    given = parser.parse_args()
    write(
        given.file,
        rows=given.rows,
        seed=given.seed,
        encoding=given.encoding,
        delimiter=given.delimiter,
        clean=given.clean,
    )


if __name__ == "__main__":
    main()
