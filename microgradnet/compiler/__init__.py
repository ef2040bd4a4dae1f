"""compile: a function of tensors is recorded once, and runs from then on as the program a person would have written.

Read in this order: `program` says what a program is. `capture` writes one down while the function runs: `taps` is where
it listens, `places` how it knows what memory holds, `draws` how random numbers get in, `numbers` how Python numbers do
that change, `descent` how an optimizer steps, `results` how it ends, `refusals` what it says no to. `watch` follows
what the function's Python code reads, and `guards` looks before each call whether all is as it was. `book` names what
is in a program as the book does; `lower` turns operations into calls of NumPy, which `tracing` finds by running
forwards on `traced` arrays; `updates` does so with an optimizer's formula; `simplify` leaves out what is not needed;
`plan` says in which memory each value lives, and `pieces` which steps on large arrays go together; `numpy_text` prints
the result, and `numpy_printer` compiles that. `compiled` is what a user calls.

The native backend goes on from the simplified program: `products` gives matrix products the sums that follow them,
`fuse` makes loops of the other steps, of those that `scalars` can write as statements on numbers, and `layout` says
where values live. `numba_text` prints that, with `numba_products` and `numba_loops`, in the words of `native` and
`tiles`; `numba_printer` compiles it, and `numba_calls` calls it.
"""
