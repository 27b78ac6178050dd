"""Before a run: shapes without weights, peak memory by part, time, and what would make it fit."""
