import pathlib, time, hashlib
from merchant.domain.documents import Income, Line
from merchant.domain.states import DocumentKind as K
from merchant.money_client import Money
from merchant.usecases.batch_files import BatchFiles, settlement_signer
from merchant.usecases.settlements import Settlements
from tests.merchant.shops import shop_world, SHOP
import pytest, os

URL = os.environ.get("PERF", "sqlite")


async def test_perf(tmp_path: pathlib.Path, request):
    url = request.getfixturevalue(f"{URL}_url")
    async with shop_world(tmp_path, url) as shop:
        await shop.open_shop()
        N = 100_000
        money = Money()
        now = shop.world.clock.now_us()
        await money.receive(shop.programme.ledger, Income("i", 1, 10_000_000, "", "r", "", 0))
        m = await shop.found(K.MERCHANT, SHOP)
        await shop.world.grant(m.points_account, 100_000 * 13 - 20000 * 3)
        for start in range(0, N, 5000):
            lines = []
            for i in range(start, start + 5000):
                rid = f"{SHOP}/{hashlib.sha256(str(i).encode()).hexdigest()[:32]}"
                p = 13 if i % 5 else 10
                lines.append(
                    Line(f"{rid}/1", rid, f"t1-{i:08d}", "REDEMPTION", p, 100, now, "2026-03-01")
                )
            await shop.put(*lines)
        shop.world.clock.advance(seconds=86400)
        files = BatchFiles(shop.programmes, settlement_signer(b"s" * 32))
        s = Settlements(shop.programmes, money, files)
        t = time.perf_counter()
        await s._lines.rate_of_next(shop.programme, SHOP, "2026-03-01")
        print("look", time.perf_counter() - t)
        import cProfile

        t = time.perf_counter()
        pr = cProfile.Profile()
        pr.enable()
        done = await s.close(shop.programme, SHOP, "2026-03-01")
        pr.disable()
        import pstats

        pstats.Stats(pr).sort_stats("tottime").print_stats(22)
        t2 = time.perf_counter()
        print("close", t2 - t, done)
        t = time.perf_counter()
        d = await files.digest(shop.programme, done.batch)
        print("digest", time.perf_counter() - t, d == done.batch.file_sha256)
        n = 0
        h = hashlib.sha256()
        t = time.perf_counter()
        async for c in files.chunks(shop.programme, done.batch):
            n += len(c)
            h.update(c)
        print("download", time.perf_counter() - t, n, h.hexdigest() == d)
