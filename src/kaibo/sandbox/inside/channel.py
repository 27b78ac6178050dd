"""The line between a program inside and kaibo: commands come in one a line, answers go out behind a key."""

import os
from typing import Any

from kaibo.sandbox.inside.walls import put_up


class Channel:
    """Reads commands from what was descriptor 0 and writes answers to what was 1; both are moved out of the way.

    Descriptor 0 becomes empty, and what is printed goes to descriptor 2, which kaibo counts and throws away.
    """

    def __init__(self, key: str) -> None:
        empty = os.open("/dev/null", os.O_RDONLY)
        self._commands, self._answers = os.dup(0), os.dup(1)
        os.dup2(empty, 0)
        os.dup2(2, 1)
        os.close(empty)
        self._key = key.encode()
        self._left = b""

    def hear(self) -> tuple[str, str]:
        """The next command: its word and its text. Ends the process where kaibo hung up."""
        while b"\n" not in self._left:
            more = os.read(self._commands, 1 << 20)
            if not more:
                os._exit(0)
            self._left += more
        line, _, self._left = self._left.partition(b"\n")
        word, _, text = line.decode().partition(" ")
        return word, text

    def say(self, word: str, text: str = "") -> None:
        """One answer: its word and its text."""
        left = self._key + f" {word} {text}\n".encode()
        while left:
            left = left[os.write(self._answers, left) :]


def opened(plan: dict[str, Any]) -> Channel:
    """The channel of this program, behind walls. Says `failed` and ends where a wall could not be put up."""
    channel = Channel(plan["key"])
    try:
        put_up(plan)
    except OSError as error:
        channel.say("failed", ascii(str(error)))
        os._exit(1)
    channel.say("ready")
    return channel
