"""A seed comes in; documents, a parallel corpus and two styles of answer go out, all made on this machine.

- `python_texts`: what ships with CPython, in English: the topics of its help, the docstrings of its library
- `worlds`: generated stories with questions, each in English and in Japanese
- `chats`: questions with one right answer, answered plainly or in role
- `mixing`: documents of several sources in one order

Nothing is downloaded. What `worlds` and `chats` make is generated text, and pages that use it say so.
"""

from kaibo.recipes.corpus.chats import Chat, chats
from kaibo.recipes.corpus.documents import Document
from kaibo.recipes.corpus.mixing import MIXES, held_out, mixed
from kaibo.recipes.corpus.python_texts import python_documents
from kaibo.recipes.corpus.worlds import Story, stories

__all__ = ["MIXES", "Chat", "Document", "Story", "chats", "held_out", "mixed", "python_documents", "stories"]
