"""Which system calls a sample may make: a seccomp filter that lets through a list and refuses the rest.

What is on the list works on the process itself and on its own files. Refused are all calls that make a process, run a
program, reach a network or another process, mount, trace, lock memory, load code into the kernel or watch it.
The filter is classic BPF, built here for x86-64 and aarch64 and loaded with prctl.
"""

import struct

PLAIN = """
read 0 63 · write 1 64 · readv 19 65 · writev 20 66 · pread64 17 67 · pwrite64 18 68 · preadv 295 69
pwritev 296 70 · open 2 - · openat 257 56 · openat2 437 437 · close 3 57 · close_range 436 436 · stat 4 -
fstat 5 80 · lstat 6 - · newfstatat 262 79 · statx 332 291 · lseek 8 62 · mmap 9 222 · mprotect 10 226
munmap 11 215 · mremap 25 216 · brk 12 214 · madvise 28 233 · rt_sigaction 13 134 · rt_sigprocmask 14 135
rt_sigreturn 15 139 · rt_sigpending 127 136 · rt_sigtimedwait 128 137 · rt_sigsuspend 130 133
sigaltstack 131 132 · access 21 - · faccessat 269 48 · faccessat2 439 439 · pipe 22 - · pipe2 293 59
select 23 - · pselect6 270 72 · poll 7 - · ppoll 271 73 · epoll_create 213 - · epoll_create1 291 20
epoll_ctl 233 21 · epoll_wait 232 - · epoll_pwait 281 22 · epoll_pwait2 441 441 · eventfd2 290 19
sched_yield 24 124 · dup 32 23 · dup2 33 - · dup3 292 24 · pause 34 - · nanosleep 35 101
clock_nanosleep 230 115 · getitimer 36 102 · setitimer 38 103 · alarm 37 - · getpid 39 172 · gettid 186 178
getppid 110 173 · exit 60 93 · exit_group 231 94 · uname 63 160 · flock 73 32 · fsync 74 82 · fdatasync 75 83
truncate 76 45 · ftruncate 77 46 · fallocate 285 47 · getdents 78 - · getdents64 217 61 · getcwd 79 17
chdir 80 49 · fchdir 81 50 · rename 82 - · renameat 264 38 · renameat2 316 276 · mkdir 83 - · mkdirat 258 34
rmdir 84 - · creat 85 - · link 86 - · linkat 265 37 · unlink 87 - · unlinkat 263 35 · symlink 88 -
symlinkat 266 36 · readlink 89 - · readlinkat 267 78 · chmod 90 - · fchmod 91 52 · fchmodat 268 53
umask 95 166 · gettimeofday 96 169 · getrlimit 97 163 · setrlimit 160 164 · getrusage 98 165 · sysinfo 99 179
times 100 153 · getuid 102 174 · geteuid 107 175 · getgid 104 176 · getegid 108 177 · getresuid 118 148
getresgid 120 150 · getgroups 115 158 · getpgrp 111 - · getpgid 121 155 · getsid 124 156 · arch_prctl 158 -
set_tid_address 218 96 · futex 202 98 · futex_waitv 449 449 · set_robust_list 273 99 · get_robust_list 274 100
sched_getaffinity 204 123 · clock_gettime 228 113 · clock_getres 229 114 · time 201 - · utimensat 280 88
utime 132 - · utimes 235 - · futimesat 261 - · getcpu 309 168 · getrandom 318 278 · rseq 334 293
membarrier 324 283 · recvfrom 45 207 · shutdown 48 210 · getsockopt 55 209
getsockname 51 204 · getpeername 52 205 · statfs 137 43 · fstatfs 138 44 · sendfile 40 71
copy_file_range 326 285 · fadvise64 221 223 · wait4 61 260 · waitid 247 95 · restart_syscall 219 128
getpriority 140 141
"""
"""Calls that are let through whatever their arguments: name, number on x86-64, number on aarch64."""

LOOKED_AT = """
clone 56 220 · kill 62 129 · tgkill 234 131 · ioctl 16 29 · fcntl 72 25 · prctl 157 167 · socketpair 53 199
sendto 44 206 · prlimit64 302 261 · clone3 435 435
"""
"""Calls that are let through for some arguments only: see `RULES`."""

MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Column of the tables and AUDIT_ARCH of each machine."""

RULES: dict[str, tuple[int, str, tuple[int, ...]]] = {
    "clone": (0, "has", (0x10000,)),  # CLONE_THREAD: threads, never processes
    "ioctl": (1, "in", (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)),  # TCGETS … FIOCLEX: no TIOCSTI
    "fcntl": (1, "in", (0, 1, 2, 3, 4, 5, 6, 7, 1030, 1032)),  # no F_SETOWN, F_NOTIFY, F_SETLEASE, F_SETPIPE_SZ
    "prctl": (0, "in", (15, 16)),  # PR_SET_NAME, PR_GET_NAME
    "socketpair": (0, "in", (1,)),  # AF_UNIX: what an event loop wakes itself with
    "sendto": (4, "null", ()),  # along a connected pair only, to no address
    "prlimit64": (0, "in", (0,)),  # of itself
}
"""Name: (which argument, how it is looked at, the values)."""

ALLOW, REFUSE, ABSENT, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000  # EPERM, ENOSYS
LOAD, EQUAL, ANY_BIT, GIVE = 0x20, 0x15, 0x45, 0x06


def program(own: int, machine: str) -> bytes | None:
    """The filter for a process whose number is `own`; None for a machine that has none."""
    if (found := MACHINES.get(machine)) is None:
        return None
    column, audit = found
    lines = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, audit), (GIVE, 0, 0, KILL), (LOAD, 0, 0, 0)]
    for number in _numbers(PLAIN, column).values():
        lines += [(EQUAL, 0, 1, number), (GIVE, 0, 0, ALLOW)]
    rules = RULES | {"kill": (0, "in", (own,)), "tgkill": (0, "in", (own,))}
    for name, number in _numbers(LOOKED_AT, column).items():
        block = [(GIVE, 0, 0, ABSENT)] if name == "clone3" else _looked_at(*rules[name])  # glibc goes on with clone
        lines += [(EQUAL, 0, len(block), number), *block]
    lines.append((GIVE, 0, 0, REFUSE))
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def _looked_at(argument: int, how: str, values: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
    low = 16 + 8 * argument  # both machines are little-endian
    if how == "null":
        return [
            *((LOAD, 0, 0, low), (EQUAL, 0, 3, 0), (LOAD, 0, 0, low + 4), (EQUAL, 0, 1, 0)),
            *((GIVE, 0, 0, ALLOW), (GIVE, 0, 0, REFUSE)),
        ]
    test = ANY_BIT if how == "has" else EQUAL
    tests = [(test, len(values) - place, 0, value) for place, value in enumerate(values)]
    return [(LOAD, 0, 0, low), *tests, (GIVE, 0, 0, REFUSE), (GIVE, 0, 0, ALLOW)]


def _numbers(table: str, column: int) -> dict[str, int]:
    entries = [entry.split() for entry in table.replace("\n", "·").split("·") if entry.strip()]
    return {name: int(numbers[column]) for name, *numbers in entries if numbers[column] != "-"}
