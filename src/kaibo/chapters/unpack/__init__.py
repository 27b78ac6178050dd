"""Any packing to plain weights."""
