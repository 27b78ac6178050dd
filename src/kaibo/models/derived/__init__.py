"""Models come in; models made from them go out, formed while they are read, nothing written.

`difference` (tuned − base) · `merged` · `rescaled` · `snapped` · `updates` (an adapter's ΔW). One module each.
"""
