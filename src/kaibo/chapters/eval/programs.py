"""From what a model wrote to a program: the code of an answer, and what of the prompt must stand before it.

A completion goes on from its prompt. An answer in words has its code between ``` fences or, as Code Llama was trained
to answer, between [PYTHON] tags; it is a program of its own that may use what the prompt imports or defines.
"""

from __future__ import annotations

from kaibo.sandbox import Problem

OPEN, CLOSE, FENCE = "[PYTHON]", "[/PYTHON]", "```"

STOP = ("\nclass", "\ndef", "\n#", "\n@", "\nprint", "\nif", "\nassert", "\n```")
"""Where a completion of a function ends: at the next thing that stands at the margin."""
STOP_WHOLE = ("\nassert", '\n"""', "\n```", "\nprint", "\nif __name__", "[DONE]")
"""Where a program that follows a task in words ends; functions may follow one another."""


def stops(problem: Problem, instructed: bool) -> tuple[str, ...]:
    """The texts after which nothing more is wanted."""
    if instructed:
        return (CLOSE,)
    return STOP_WHOLE if problem.whole else STOP


def code_of(answer: str) -> str:
    """The code in an answer: the first that is between tags, else between fences, else all of it.

    >>> code_of("Here it is:\\n```python\\nx = 1\\n```\\nIt sets x.")
    'x = 1\\n'
    >>> code_of("[PYTHON]\\nx = 1\\n[/PYTHON] done"), code_of(" x = 1")
    ('x = 1\\n', ' x = 1')
    """
    before, tag, after = answer.partition(OPEN)
    if tag or CLOSE in answer:
        return code_of((after if tag else before).partition(CLOSE)[0]).lstrip("\n")
    before, fence, after = answer.partition(FENCE)
    if not fence:
        return answer
    first, line, rest = after.partition("\n")
    if not line:
        return before
    inner = rest if first.strip().isalnum() or not first.strip() else after
    return inner.partition(FENCE)[0]


def program_of(problem: Problem, answer: str, instructed: bool) -> str:
    """The program that an answer makes for a problem."""
    if not instructed:
        return problem.program(answer)
    code = code_of(answer)
    if problem.whole or not problem.entry:
        return code
    head, found, _ = problem.prompt.rpartition(f"def {problem.entry}(")
    defines = f"def {problem.entry}(" in code
    if found and defines:
        return head + "\n" + code
    return problem.program(code)
