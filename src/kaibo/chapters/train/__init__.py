"""A recipe in, a trained model out, or a plan of what training would take."""
