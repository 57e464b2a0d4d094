"""How many trades the sandbox carries: /order, sign, /execute, getSignatureStatuses, getTransaction.

.venv/bin/python benchmarks/sandbox_trades.py [--trades 10000] [--clients 100] [--slot-ms 200]

Starts a sandbox of its own, funds one wallet per client, and lets two client processes trade as fast as they are
answered. Beside the figures stands a baseline: the CPU that the same server spends on four calls that do nothing.
Server CPU and memory are read from /proc, so the run needs Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from base64 import b64decode, b64encode
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode, urlsplit

from solders.keypair import Keypair

if TYPE_CHECKING:
    from collections.abc import Iterator

SOL = "So11111111111111111111111111111111111111112"
USDC = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
BUY = {"inputMint": USDC, "outputMint": SOL, "amount": "5000000"}
SELL = {"inputMint": SOL, "outputMint": USDC, "amount": "25000000"}
PROCESSES = 2
CALLS_A_TRADE = 4
BASELINE_CALLS = 2_000
TARGET_TRADES_PER_S = 150
TARGET_CPU_MS = 4.0
TARGET_RSS_MB = 400


class Connection:
    """A keep-alive HTTP/1.1 connection that costs little, so that the server and not the client is measured."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self._reader = reader
        self._writer = writer
        self._host = host

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect to a base URL."""
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        return cls(reader, writer, parts.netloc)

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """One request; returns the JSON body."""
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Length: {len(content)}\r\n"
        self._writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + content)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(answer.split(b"content-length:")[1].split(b"\r\n")[0])
        return json.loads(await self._reader.readexactly(length))

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


@dataclass(frozen=True, slots=True)
class Share:
    """What one client process is to do."""

    jupiter_url: str
    rpc_url: str
    wallets: tuple[bytes, ...]
    trades_each: int


async def trade(jupiter: Connection, rpc: Connection, wallet: Keypair, pair: dict[str, str]) -> str:
    """One trade; returns how it went."""
    taker = str(wallet.pubkey())
    query = urlencode({**pair, "taker": taker, "excludeRouters": "jupiterz", "slippageBps": "300"})
    order = await jupiter.call("GET", f"/swap/v2/order?{query}")
    if not order.get("transaction"):
        return f"order: {order.get('errorMessage') or order.get('error')}"
    raw = b64decode(order["transaction"])
    # One signature slot: a count of 1, 64 bytes, the message.
    signed = raw[:1] + bytes(wallet.sign_message(raw[65:])) + raw[65:]
    body = {"signedTransaction": b64encode(signed).decode(), "requestId": order["requestId"]}
    answer = await jupiter.call("POST", "/swap/v2/execute", body)
    signature = answer.get("signature")
    statuses = await rpc.call("POST", "/", _rpc("getSignatureStatuses", [[signature]]))
    options = {"encoding": "base64", "commitment": "confirmed", "maxSupportedTransactionVersion": 1}
    landed = await rpc.call("POST", "/", _rpc("getTransaction", [signature, options]))
    if statuses["result"]["value"][0] is None or landed["result"] is None:
        return f"not on the chain after code {answer.get('code')}"
    return f"code {answer['code']}"


def _rpc(method: str, params: list[Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


async def _trade_for(share: Share) -> tuple[Counter[str], list[float]]:
    outcomes: Counter[str] = Counter()
    taken: list[float] = []

    async def client(wallet: Keypair) -> None:
        jupiter, rpc = await Connection.open(share.jupiter_url), await Connection.open(share.rpc_url)
        for number in range(share.trades_each):
            started = time.perf_counter()
            outcomes[await trade(jupiter, rpc, wallet, SELL if number % 2 else BUY)] += 1
            taken.append(time.perf_counter() - started)
        jupiter.close()
        rpc.close()

    async with asyncio.TaskGroup() as group:
        for secret in share.wallets:
            group.create_task(client(Keypair.from_bytes(secret)))
    return outcomes, taken


def run_share(share: Share) -> tuple[Counter[str], list[float]]:
    """Entry point of a client process."""
    return asyncio.run(_trade_for(share))


@contextmanager
def running_sandbox(slot_ms: int) -> Iterator[dict[str, Any]]:
    """A sandbox in a process and a home of its own; yields its endpoints."""
    with tempfile.TemporaryDirectory(prefix="sniperforge-bench-") as home:
        options = [f"--{name}-port=0" for name in ("rpc", "ws", "jupiter", "admin")]
        options += [f"--slot-ms={slot_ms}", "--scenario=flat", "--no-rate-limits", "--json"]
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("sniperforge")), "sandbox", *options],
            env={**os.environ, "SNIPERFORGE_HOME": home},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            if process.stdout is None:
                raise RuntimeError("the sandbox's output is not piped")
            yield {"pid": process.pid, **json.loads(process.stdout.readline())}
        finally:
            process.terminate()
            process.wait(timeout=10)


def fund(admin_url: str, wallet: Keypair) -> None:
    """Give a wallet enough for the whole run."""
    body = {"wallet": str(wallet.pubkey()), "sol": "100", "token": "USDC", "amount": "10000"}
    request = urllib.request.Request(  # noqa: S310 - our own loopback address
        f"{admin_url}/fund", data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - as above
        response.read()


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    """Resident memory of a process in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def baseline_cpu_ms(pid: int, jupiter_url: str) -> float:
    """Server CPU per trade if its calls did nothing: an unknown path, as often as a trade calls."""
    connection = await Connection.open(jupiter_url)
    before = cpu_s(pid)
    for _ in range(BASELINE_CALLS):
        await connection.call("GET", "/nothing/here")
    used = cpu_s(pid) - before
    connection.close()
    return used / BASELINE_CALLS * CALLS_A_TRADE * 1000


def main() -> int:
    """Print the figures beside their targets; exit 1 when one is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trades", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--slot-ms", type=int, default=200)
    options = parser.parse_args()
    wallets = [Keypair() for _ in range(options.clients)]
    trades_each = max(1, options.trades // options.clients)
    with running_sandbox(options.slot_ms) as sandbox, ProcessPoolExecutor(PROCESSES) as pool:
        pid = sandbox["pid"]
        for wallet in wallets:
            fund(sandbox["admin_url"], wallet)
        baseline = asyncio.run(baseline_cpu_ms(pid, sandbox["jupiter_url"]))
        shares = [
            Share(
                sandbox["jupiter_url"],
                sandbox["rpc_url"],
                tuple(bytes(wallet) for wallet in wallets[number::PROCESSES]),
                trades_each,
            )
            for number in range(PROCESSES)
        ]
        cpu_before, started = cpu_s(pid), time.perf_counter()
        results = list(pool.map(run_share, shares))
        wall_s, cpu_used_s, memory_mb = time.perf_counter() - started, cpu_s(pid) - cpu_before, rss_mb(pid)
    outcomes = sum((outcome for outcome, _ in results), Counter[str]())
    taken = sorted(seconds for _, times in results for seconds in times)
    done = sum(outcomes.values())
    rate, cpu_ms = done / wall_s, cpu_used_s / done * 1000
    print(f"{done} trades, {options.clients} clients, slots of {options.slot_ms} ms: {dict(outcomes)}")
    print(f"trades per second      {rate:8.1f}   (target at least {TARGET_TRADES_PER_S})")
    print(f"server CPU per trade   {cpu_ms:8.2f} ms (target under {TARGET_CPU_MS})")
    print(f"  its calls, if empty  {baseline:8.2f} ms (baseline: {CALLS_A_TRADE} requests of an unknown path)")
    print(f"server memory          {memory_mb:8.0f} MB (target under {TARGET_RSS_MB} at 10,000 trades)")
    print(f"one trade              {statistics.median(taken):8.2f} s median, {taken[int(0.95 * len(taken))]:.2f} s p95")
    on_target = rate >= TARGET_TRADES_PER_S and cpu_ms < TARGET_CPU_MS and memory_mb < TARGET_RSS_MB
    return 0 if on_target and outcomes["code 0"] == done else 1


if __name__ == "__main__":
    sys.exit(main())
