"""What a checkpoint thinks of each token: texts ─▶ tokens ─▶ windows ─▶ batches ─▶ nats, a log a text.

    texts.py ─▶ tokens.py ─▶ windows.py ─▶ batches.py ─▶ planning.py ─▶ engine.py ─▶ losses.py
                                                                          causal.py (the model)

Needs the extra `torch`; only `causal`, `losses` and what runs models import it.
"""
