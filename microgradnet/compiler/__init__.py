"""compile: a function of tensors is recorded once, and runs from then on as the program a person would have written.

`program` says what a program is.
"""
