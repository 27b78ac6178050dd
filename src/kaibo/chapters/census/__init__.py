"""Every value counted, once: a model in, its censuses out, and what every other chapter asks of them."""
