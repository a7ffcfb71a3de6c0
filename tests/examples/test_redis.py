# SPDX-License-Identifier: MIT
"""A test suite that cuts its database in the middle of a transaction. REDIS is its port.

    pipeguard run --control /tmp/page -- python3 -m unittest test_redis
"""
import os
import socket
import subprocess
import unittest

PIPEGUARD = os.environ.get("PIPEGUARD", "pipeguard")
PORT = int(os.environ["REDIS"])


def ctl(*words):
    """pipeguard ctl, for the page that this very process runs with."""
    return subprocess.run([PIPEGUARD, "ctl", os.environ["PIPEGUARD_CONTROL"]] + list(words), check=True,
                          stdout=subprocess.PIPE).stdout.decode().strip()


class Account:
    """What is tested: it moves money from one key to another, all or nothing, and tries again where that is right."""

    def __init__(self):
        self.socket = self.answers = None

    def ask(self, *lines):
        if not self.socket:
            self.socket = socket.create_connection(("127.0.0.1", PORT), timeout=10)
            self.answers = self.socket.makefile("rb")
        self.socket.sendall(b"".join(line.encode() + b"\r\n" for line in lines))
        return [self.answers.readline().strip().decode() for _ in lines]

    def close(self):
        if self.socket:
            self.answers.close()
            self.socket.close()
            self.socket = None

    def balance(self, key):
        answer = self.ask("GET " + key)[0]
        return 0 if answer == "$-1" else int(self.answers.readline())

    def move(self, amount, tries=2):
        for left in reversed(range(tries)):
            try:
                self.ask("MULTI", "DECRBY a %d" % amount, "INCRBY b %d" % amount)
                if not self.ask("EXEC")[0].startswith("*2"):
                    raise ConnectionError("the server went away")
                return [self.answers.readline() for _ in range(2)]
            except OSError:
                self.close()
                if not left:
                    raise


class Cut(unittest.TestCase):
    def setUp(self):
        ctl("clear")
        self.account = Account()
        self.addCleanup(self.account.close)
        self.addCleanup(ctl, "clear")
        self.account.ask("SET a 100", "SET b 0")

    def balances(self):
        return self.account.balance("a"), self.account.balance("b")

    def test_cut_before_exec_changes_nothing(self):
        ctl("rules", "cut=%%out:port=%d:when=2:reset" % PORT)
        with self.assertRaises(OSError):
            self.account.move(30, tries=1)
        self.assertEqual("1", ctl("fired", "cut"))
        ctl("clear")
        self.assertEqual((100, 0), self.balances())

    def test_move_is_tried_again(self):
        ctl("rules", "cut=%%out:port=%d:when=2:reset" % PORT)
        self.account.move(30)
        self.assertEqual("1", ctl("fired", "cut"))
        self.assertEqual((70, 30), self.balances())

    def test_server_that_is_down_is_said(self):
        self.account.close()
        ctl("rules", "down=connect:port=%d:refuse" % PORT)
        with self.assertRaises(ConnectionRefusedError):
            self.account.move(30)
        ctl("off")
        self.account.move(30)
        self.assertEqual((70, 30), self.balances())


if __name__ == "__main__":
    unittest.main()
