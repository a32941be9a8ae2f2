"""From a stage to its artifact: performed once, paid for once."""
