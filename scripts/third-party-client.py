#!/usr/bin/env python3
"""Drives the simulated venue with a Kraken client library that others wrote.

Usage: third-party-client.py [VENUE_SIM_BINARY]
Needs: pip install python-kraken-sdk (in an environment of its own).

Starts the venue on free ports, changes nothing of the library but its URLs, and then lists pairs,
keeps a book with the library's own checksum check, places an order, sees it on the stream and over
REST, and cancels it. Prints one line per step; exit 0 when all succeeded, 1 otherwise.
"""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from kraken.spot import Market, SpotOrderBookClient, SpotWSClient, User

BOOK_UPDATES = 150
STEP_SECONDS = 30


def start_venue(binary: str) -> tuple[subprocess.Popen, dict]:
    venue = subprocess.Popen(
        [binary, "--scenario", "pulses", "--symbols", "32"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return venue, json.loads(venue.stdout.readline())


def use(addresses: dict) -> None:
    """The only change: the library appends /v2 and /0/... itself."""
    Market.URL = User.URL = SpotWSClient.URL = SpotOrderBookClient.URL = addresses["rest"]
    for client in (SpotWSClient, SpotOrderBookClient):
        client.WS_URL = addresses["ws_public"].removesuffix("/v2")
        client.AUTH_WS_URL = addresses["ws_private"].removesuffix("/v2")


def list_pairs() -> None:
    pairs = Market().get_asset_pairs()
    bitcoin = pairs["XXBTZUSD"]
    print(f"pairs: {len(pairs)}, XXBTZUSD = {bitcoin['wsname']}, tick {bitcoin['tick_size']}")
    assert bitcoin["altname"] == "XBTUSD"


class Book(SpotOrderBookClient):
    """Counts what the library's own check says."""

    valid = 0
    invalid = 0

    async def on_book_update(self, pair: str, message: dict) -> None:
        if message.get("type") != "update":
            return
        if self.get(pair=pair)["valid"]:
            self.valid += 1
        else:
            self.invalid += 1


async def stream_book() -> None:
    book = Book(depth=10)
    await book.start()
    await book.add_book(pairs=["BTC/USD", "ETH/USD", "DOGE/USD"])
    async with asyncio.timeout(STEP_SECONDS):
        while book.valid + book.invalid < BOOK_UPDATES:
            await asyncio.sleep(0.1)
    bid = next(iter(book.get(pair="BTC/USD")["bid"]))
    await book.close()
    print(f"book: {book.valid} updates with the right checksum, {book.invalid} wrong, bid {bid}")
    assert book.invalid == 0


class Orders(SpotWSClient):
    """Keeps answers and execution reports."""

    def __init__(self, **keys: str) -> None:
        self.seen: list[dict] = []
        super().__init__(no_public=True, **keys)

    async def on_message(self, message: dict) -> None:
        self.seen.append(message)

    async def wait(self, what: str, found) -> dict:
        async with asyncio.timeout(STEP_SECONDS):
            while True:
                for message in self.seen:
                    if (result := found(message)) is not None:
                        return result
                await asyncio.sleep(0.05)


def report(order_id: str, kind: str):
    def found(message: dict):
        if message.get("channel") != "executions":
            return None
        rows = message["data"]
        match = [r for r in rows if r["order_id"] == order_id and r["exec_type"] == kind]
        return match[0] if match else None

    return found


def answer(method: str):
    return lambda message: message if message.get("method") == method else None


async def order_life(addresses: dict) -> None:
    keys = {"key": addresses["api_key"], "secret": addresses["api_secret"]}
    user = User(**keys)
    print(f"balance: {user.get_account_balance()}")
    client = Orders(**keys)
    await client.start()
    await client.subscribe(params={"channel": "executions", "snap_orders": True})
    await client.wait("subscription", answer("subscribe"))
    params = {
        "order_type": "limit",
        "side": "buy",
        "order_qty": 0.001,
        "limit_price": 50000.0,
        "symbol": "BTC/USD",
        "post_only": True,
    }
    await client.send_message({"method": "add_order", "params": params})
    placed = await client.wait("add_order", answer("add_order"))
    assert placed["success"], placed
    order_id = placed["result"]["order_id"]
    print(f"placed: {order_id}")
    seen = await client.wait("new", report(order_id, "new"))
    print(f"stream: {seen['exec_type']} {seen['order_status']}")
    opened = user.get_open_orders()["open"]
    print(f"open over REST: {opened[order_id]['descr']['order']}")
    await client.send_message({"method": "cancel_order", "params": {"order_id": [order_id]}})
    cancelled = await client.wait("cancel_order", answer("cancel_order"))
    assert cancelled["success"], cancelled
    seen = await client.wait("canceled", report(order_id, "canceled"))
    print(f"stream: {seen['exec_type']} {seen['order_status']}")
    assert order_id not in user.get_open_orders()["open"]
    print("open over REST: none")
    await client.close()


async def main() -> int:
    folder = Path(__file__).resolve().parent.parent / "target"
    built = [path for kind in ("release", "debug") if (path := folder / kind / "venue-sim").exists()]
    binary = sys.argv[1] if len(sys.argv) > 1 else str(built[0]) if built else "venue-sim"
    venue, addresses = start_venue(binary)
    try:
        use(addresses)
        list_pairs()
        await stream_book()
        await order_life(addresses)
    finally:
        venue.terminate()
        venue.wait()
    print("third-party client: ok")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
