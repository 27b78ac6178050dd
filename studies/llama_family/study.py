"""What makes a model a LLaMA, and what came of it? Its anatomy, its reference, its tables, and how it is spoken to."""

from __future__ import annotations

from dataclasses import dataclass

import kaibo

from . import anatomy, prompts, tables, tour

FIRST = ("saved", "card", "formats")
"""What is told first, and on the index."""


@dataclass(frozen=True)
class Measured:
    """What each part measured, in the order of the page."""

    anatomy: anatomy.Anatomy
    tour: tour.Walked
    tables: tables.Tables
    prompts: prompts.Prompts


def measure(inputs: kaibo.Inputs) -> Measured:
    """Reads configs and published tables, walks through the reference, puts chats to a model where one is given."""
    return Measured(anatomy.measure(inputs), tour.measure(), tables.measure(inputs), prompts.measure(inputs))


def analyse(measured: Measured) -> kaibo.Results:
    """Findings in the order of the page; every claim that its tables, configs or formulas can judge as an outcome."""
    parts = (
        anatomy.results(measured.anatomy),
        tour.results(measured.tour),
        tables.results(measured.tables),
        prompts.results(measured.prompts),
    )
    findings = {key: finding for part in parts for key, finding in part.findings.items()}
    outcomes = tuple(outcome for part in parts for outcome in part.outcomes)
    sentences = sorted((one for part in parts for one in part.sentences), key=lambda one: one[0] not in FIRST)
    return kaibo.Results(findings, outcomes, tuple(sentences), cover="common-parameters")


study = kaibo.Study("llama_family", measure, analyse)
