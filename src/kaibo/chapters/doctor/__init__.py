"""The installation looked at: versions, extras, fonts, caches."""
