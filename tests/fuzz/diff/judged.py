# SPDX-License-Identifier: MIT
"""Tests of the judge: a true log of a known story, then each of its words changed."""
import json
import sys

from judge import Judge
from story import Story

# A connection of 7 to a server: five bytes went, its end was read, and with SIGPIPE ignored a
# write was told EPIPE.
FACTS = """born 10 1
conn 9:77 tcp client 127.0.0.1:40000 127.0.0.1:80
> 10 10 w write 7 5 0 9:77 tcp
< 10 10 5 - 0 0 0 0 ignored -1
> 10 10 r recv 7 100 0 9:77 tcp
< 10 10 0 - 0 0 0 0 ignored -1
> 10 10 w send 7 512 0 9:77 tcp
< 10 10 -1 EPIPE 0 0 0 0 ignored 0
leaves 10 6
dead 10 exit 3""".split("\n")

EPIPE = {
    "v": 1, "t": "2026-01-01T00:00:00.000000Z", "mono": 1.5, "pid": 10, "tid": 10, "comm": "diff",
    "ev": "epipe", "via": "call", "call": "send", "fd": 7, "kind": "tcp", "side": "client",
    "local": "127.0.0.1:40000", "peer": "127.0.0.1:80", "ino": 77, "len": 512, "ret": -1,
    "errno": "EPIPE", "signal": "ignored", "sent": 5, "age_ms": 1, "idle_ms": 0, "unread": 0,
    "peer_pid": None, "history": [{"what": "eof", "call": "recv", "ago_ms": 0}],
    "disposition": None, "repeated": 1, "injected": False, "rule": None, "again": None,
    "site": "0", "stack": [], "engine": "inside", "dropped": 0}
EXIT = {"v": 1, "pid": 10, "ev": "exit", "events": 1}

WRONG = {
    "tid": 11, "call": "write", "fd": 8, "kind": "pipe", "side": "server", "local": "127.0.0.1:1",
    "peer": None, "ino": 78, "len": 511, "ret": 0, "errno": None, "signal": "fatal", "sent": 0,
    "unread": 1, "history": [], "injected": True, "rule": "r1"}


def complaints(events):
    log = b"".join(json.dumps(e).encode() + b"\n" for e in events)
    return [text for _, text, _ in Judge([Story(1, FACTS)], log, True).complaints]


def changes():
    """Logs that are not true: what was changed, and the events."""
    for key, value in WRONG.items():
        yield key, [EPIPE | {key: value}, EXIT]
    for key in EPIPE:
        yield f"no {key}", [{k: v for k, v in EPIPE.items() if k != key}, EXIT]
    invented = [*EPIPE["history"], {"what": "reset", "call": "recv"}]
    yield "an invented end", [EPIPE | {"history": invented}, EXIT]
    yield "nothing told", [EXIT]
    yield "told twice", [EPIPE, EPIPE, EXIT | {"events": 2}]
    yield "an early exit line", [EXIT, EPIPE]
    yield "a wrong count", [EPIPE, EXIT | {"events": 2}]
    yield "no exit line", [EPIPE]
    yield "a reset that was not", [EPIPE | {"ev": "reset"}, EPIPE, EXIT]
    yield "an end that was not", [EPIPE | {"ev": "eof"}, EPIPE, EXIT]
    change = {"pid": 10, "ev": "disposition", "to": "caught"}
    yield "a disposition that was not set", [EPIPE, change, EXIT]
    yield "a long line", [EPIPE | {"comm": "x" * 5000}, EXIT]


def main():
    true = complaints([EPIPE, EXIT])
    if true:
        print("a true log is refused: " + ", ".join(true))
        return 1
    accepted = [what for what, events in changes() if not complaints(events)]
    for what in accepted:
        print("not refused: " + what)
    print(f"{sum(1 for _ in changes()) - len(accepted)} changes refused")
    return 1 if accepted else 0


if __name__ == "__main__":
    sys.exit(main())
