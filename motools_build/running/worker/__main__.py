"""Entry point of a worker. With `--with-host`, it ends when its host does."""

import sys

from motools_build.running.worker.supervision import main

main(with_host="--with-host" in sys.argv[1:])
