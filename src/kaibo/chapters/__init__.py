"""One folder per subject, named as its command: command > ask > draw > the numbers > rows."""
