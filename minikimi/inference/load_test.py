"""Many clients at once against a server on this machine, of whom some leave in the middle (lesson 17).

    minikimi serve --slots 16 &
    python -m minikimi.inference.load_test http://127.0.0.1:8000 64 60       # clients, seconds

It prints how many answers came, the median and the 95th percentile of their seconds, and whether all slots came back.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np

TIMEOUT = 60.0
QUESTIONS = ("Calculate 12 + 5.", "Calculate 58 - 31.", "What is in the picture?", "Where is the cat?")


@dataclass
class Report:
    """What the clients met. `seconds`: of each whole answer; `refused`: for a full queue, and asked again later."""

    seconds: list[float] = field(default_factory=list)
    left: int = 0
    refused: int = 0
    errors: list[str] = field(default_factory=list)

    @property
    def answered(self) -> int:
        return len(self.seconds)


def attack(address: str, clients: int, seconds: float, leave_every: int = 10) -> Report:
    """Let `clients` ask streamed questions for `seconds`; every `leave_every`-th time one leaves after the first words.

    Refused for a full queue is no error.
    """
    report, ends = Report(), time.monotonic() + seconds

    def client(number: int) -> None:
        turn = number
        while time.monotonic() < ends:
            turn += 1
            try:
                _ask(address, turn, turn % leave_every == 0, report)
            except (OSError, http.client.HTTPException, ValueError) as error:
                report.errors.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return report


def _ask(address: str, turn: int, leave: bool, report: Report) -> None:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=TIMEOUT)
    question = {"role": "user", "content": QUESTIONS[turn % len(QUESTIONS)]}
    body = json.dumps({"messages": [question], "stream": True, "max_tokens": 32, "temperature": 1, "seed": turn})
    begin = time.monotonic()
    try:
        connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        if reply.status == 429:
            report.refused += 1
            reply.read()
            time.sleep(0.1)
        elif reply.status != 200:
            raise ValueError(f"status {reply.status}: {reply.read(200)!r}")
        elif leave:
            reply.read(100)
            report.left += 1
        elif not reply.read().endswith(b"data: [DONE]\n\n"):
            raise ValueError("an answer broke off")
        else:
            report.seconds.append(time.monotonic() - begin)
    finally:
        connection.close()


def health(address: str) -> dict[str, float]:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=TIMEOUT)
    connection.request("GET", "/health")
    return json.loads(connection.getresponse().read())


def main(address: str, clients: int, seconds: float) -> int:
    """Attack, print, and return 1 if there was an error or a slot did not come back."""
    report = attack(address, clients, seconds)
    time.sleep(1.0)  # for those who left last
    after = health(address)
    kept = int(after["running"] + after["waiting"])
    p50, p95 = np.percentile(report.seconds or [float("nan")], [50, 95])
    print(f"{report.answered} answers in {seconds:g} s: p50 {p50:.2f} s, p95 {p95:.2f} s; {report.left} left early")
    print(f"{report.refused} refused for a full queue; {len(report.errors)} errors; {kept} slots not given back")
    for error in report.errors[:5]:
        print(f"  {error}")
    return int(bool(report.errors or kept))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: python -m minikimi.inference.load_test http://127.0.0.1:8000 CLIENTS SECONDS")
    sys.exit(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
