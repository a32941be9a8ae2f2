"""Entry point of a worker. `--with-host` ties it to the host that started it."""

import sys

from motools_build.running.worker.supervision import main

main(with_host="--with-host" in sys.argv[1:])
