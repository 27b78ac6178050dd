"""The filter of system calls, run by a small interpreter of its own: what it lets through on each machine."""

import struct

import pytest

from kaibo.sandbox.inside.filter import ALLOW, KILL, MACHINES, program

OWN = 1234
CALLS = {  # written down a second time, from the tables of the kernel
    "x86_64": {"read": 0, "write": 1, "openat": 257, "mmap": 9, "fork": 57, "vfork": 58, "clone": 56, "clone3": 435}
    | {"execve": 59, "execveat": 322, "socket": 41, "connect": 42, "socketpair": 53, "sendto": 44, "ptrace": 101}
    | {"mount": 165, "unshare": 272, "setns": 308, "bpf": 321, "kill": 62, "tgkill": 234, "tkill": 200, "ioctl": 16}
    | {"prctl": 157, "fcntl": 72, "prlimit64": 302, "memfd_create": 319, "io_uring_setup": 425, "sendmsg": 46},
    "aarch64": {"read": 63, "write": 64, "openat": 56, "mmap": 222, "clone": 220, "clone3": 435, "execve": 221}
    | {"execveat": 281, "socket": 198, "connect": 203, "socketpair": 199, "sendto": 206, "ptrace": 117, "mount": 40}
    | {"unshare": 97, "setns": 268, "bpf": 280, "kill": 129, "tgkill": 131, "tkill": 130, "ioctl": 29, "prctl": 167}
    | {"fcntl": 25, "prlimit64": 261, "memfd_create": 279, "io_uring_setup": 425, "sendmsg": 211},
}


def decided(machine: str, call: int, *given: int, audit: int | None = None) -> int:
    """What the filter gives for a call with these arguments."""
    lines = program(OWN, machine)
    assert lines is not None
    data = struct.pack(
        "=IIQ6Q", call, MACHINES[machine][1] if audit is None else audit, 0, *given, *[0] * (6 - len(given))
    )
    steps = list(struct.iter_unpack("=HBBI", lines))
    held, place = 0, 0
    while True:
        code, yes, no, value = steps[place]
        place += 1
        match code:
            case 0x20:
                (held,) = struct.unpack_from("=I", data, value)
            case 0x15:
                place += yes if held == value else no
            case 0x45:
                place += yes if held & value else no
            case 0x06:
                return value


@pytest.mark.parametrize("machine", MACHINES)
def test_what_a_program_needs_for_itself_is_let_through(machine: str) -> None:
    calls = CALLS[machine]
    for name in ("read", "write", "openat", "mmap"):
        assert decided(machine, calls[name], 3, 4, 5) == ALLOW
    for name, given in {
        "clone": (0x3D0F00,),
        "kill": (OWN, 9),
        "tgkill": (OWN, 7, 9),
        "prctl": (15,),
        "fcntl": (3, 4),
        "ioctl": (1, 0x5401),
        "socketpair": (1, 1),
        "sendto": (3, 4, 5, 0, 0, 0),
        "prlimit64": (0, 7),
    }.items():
        assert decided(machine, calls[name], *given) == ALLOW, name


@pytest.mark.parametrize("machine", MACHINES)
def test_what_reaches_out_is_refused(machine: str) -> None:
    calls = CALLS[machine]
    alone = ("fork", "vfork", "execve", "execveat", "socket", "connect", "ptrace", "mount", "unshare", "setns", "bpf")
    for name in (*alone, "tkill", "memfd_create", "io_uring_setup", "sendmsg", "clone3"):
        if name in calls:
            assert decided(machine, calls[name], OWN) != ALLOW, name
    for name, given in {
        "clone": (17,),
        "kill": (OWN + 1, 9),
        "tgkill": (1, 1, 9),
        "prctl": (22, 2),
        "fcntl": (3, 8, 1),
        "ioctl": (0, 0x5412),
        "socketpair": (2, 1),
        "sendto": (3, 4, 5, 0, 1 << 32, 16),
        "prlimit64": (1, 7),
    }.items():
        assert decided(machine, calls[name], *given) != ALLOW, name
    assert decided(machine, calls["kill"], 2**64 - 1, 9) != ALLOW, "everybody"


@pytest.mark.parametrize("machine", MACHINES)
def test_tables_of_another_width_are_refused(machine: str) -> None:
    assert decided(machine, CALLS[machine]["read"], audit=0x40000003) == KILL
    assert decided(machine, 0x40000000 + CALLS[machine]["read"]) != ALLOW


def test_another_machine_has_no_filter() -> None:
    assert program(OWN, "riscv64") is None
