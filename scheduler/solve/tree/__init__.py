"""The tree programme: an exact dynamic programme over levels that nest, numpy only; curves of equal domains are shared and kept."""
