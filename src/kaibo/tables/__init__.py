"""Benchmark tables from anywhere come in, score tables with named holes go out.

- `read`: the front door, `read_table`: any file, folder or shipped name to one `ScoreTable`
- `text`, `cells`, `sheets`: bytes to text, text to numbers, columns as a file holds them
- `delimited`, `records`, `excel`, `columnar`, `markdown`, `harness`: one file format each
- `wide`: which column is the model, which are facts about it, which are scores
- `names`: when two names mean one model; `joins`: tables joined by model
- `averages`: columns that are means of others; `overview`: what else there is to say about a table
- `chance`: scores above guessing; `tidy`: one row a score; `export`: tables written safely
"""

from kaibo.tables.averages import Average, averages
from kaibo.tables.joins import Joined, join
from kaibo.tables.names import canonical
from kaibo.tables.overview import Overview, overview
from kaibo.tables.read import Reading, read_table

__all__ = ["Average", "Joined", "Overview", "Reading", "averages", "canonical", "join", "overview", "read_table"]
