"""What all commands share: addresses and options in, answers, tables, figures and folders out."""
