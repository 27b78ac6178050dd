"""Documents made to break their readers, by kind: each must be refused with one of kaibo's own errors, and at once."""

from __future__ import annotations

DEEP = 100_000

BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + chr(ord(name) - 1)] * 10)}]\n" for name in "bcdefghij"
)

BYTES: dict[str, bytes] = {
    "not UTF-8": b"a = 'caf\xe9'\n",
    "UTF-16": "a = 1".encode("utf-16"),
    "NUL": b"a = 1\x00\n",
    "nothing": b"",
    "white space": b" \n\t\n",
    "CR only": b"a = 1\rb = 2\r",
    "random": bytes(range(256)) * 20,
}
"""Refused whatever the kind, or read as nothing."""

JSON: dict[str, bytes] = {
    "deep lists": b"[" * DEEP,
    "deep objects": b'{"a":' * DEEP,
    "deep and closed": b"[" * DEEP + b"]" * DEEP,
    "5,000 digits": b'{"a": ' + b"1" * 5000 + b"}",
    "an exponent of 400": b'{"a": 1e400}',
    "NaN": b'{"a": NaN}',
    "infinity": b'{"a": -Infinity}',
    "a key twice": b'{"a": 1, "a": 2}',
    "a key twice in two spellings": b'{"a": 1, "\\u0061": 2}',
    "half a character": b'{"a": "\\ud800"}',
    "half a character, reversed": b'{"a": "\\udc00\\ud800"}',
    "half a character in a key": b'{"\\ud800": 1}',
    "torn": b'{"a": [1, 2',
    "torn in a string": b'{"a": "b',
    "two values": b"{} {}",
    "a comment": b"{} // x",
    "a control character": b'{"a": "\x01"}',
    **BYTES,
}

TOML: dict[str, bytes] = {
    "deep arrays": b"a = " + b"[" * DEEP,
    "deep and closed": b"a = " + b"[" * DEEP + b"]" * DEEP,
    "deep inline tables": b"a = " + b"{a = " * DEEP,
    "a key of 100,000 parts": b"a" + b".a" * DEEP + b" = 1",
    "a header of 100,000 parts": b"[a" + b".a" * DEEP + b"]",
    "quoted parts": b'"a"' + b'."a"' * DEEP + b" = 1",
    "5,000 digits": b"a = " + b"1" * 5000,
    "5,000 hexadecimal digits": b"a = 0x" + b"f" * 5000,
    "a day that is not": b"a = 2024-02-30",
    "an hour that is not": b"a = 25:00:00",
    "a key twice": b"a = 1\na = 2",
    "half a character": b'a = "\\ud800"',
    "torn": b"a = [1,",
    "torn in a text": b"a = '''x\ny",
    **BYTES,
}

YAML: dict[str, bytes] = {
    "deep lists": b"[" * DEEP,
    "deep mappings": b"{a: " * 50_000,
    "deep dashes": b"- " * DEEP,
    "deep question marks": b"? " * DEEP,
    "an alias bomb": BOMB.encode(),
    "an alias in itself": b"a: &a [*a]",
    "an alias of nothing": b"a: *b",
    "a tag that runs code": b"a: !!python/object/apply:os.system ['true']",
    "a tag": b"a: !mine 1",
    "merged with a number": b"<<: 3",
    "a list as key": b"? [a, b]\n: 1",
    "a key twice": b"a: 1\na: 2",
    "5,000 digits": b"a: " + b"1" * 5000,
    "half a character": b'a: "\\ud800"',
    "a character that is not": b'a: "\\UFFFFFFFF"',
    "a version of 5,000 digits": b"%YAML " + b"9" * 5000 + b".1\n---\na: 1",
    "two documents": b"a: 1\n---\nb: 2",
    "torn": b"a: [1, ",
    **{name: data for name, data in BYTES.items() if name not in ("nothing", "white space", "CR only")},
}
