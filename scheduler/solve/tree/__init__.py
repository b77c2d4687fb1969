"""The tree programme: an exact dynamic programme over levels that nest, numpy only; curves of equal domains are shared and kept.

In the order of work: `price` puts the aims into one number, `nesting` and `chain` lay out the topology, `work` and `plan` say
whether the tables are small enough, `runs` and `climb` make curves from equal nodes up to cells (`kernels` is their
arithmetic, `content` and `memo` what they share), `descend` goes back from the best cell to nodes, `elastic` and `around` leave
pods out, `answers` and `solver` answer.
"""
