"""From a stage to its artifact: performed once, paid for once."""

import logging

LOGGER = logging.getLogger("motools_build")
"""What runs decide and do, for `artifacts/logs/doit.log`."""
