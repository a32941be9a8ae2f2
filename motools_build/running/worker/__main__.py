"""Entry point of a worker. With `--with-host`, it ends when its host does; with
`--folder FOLDER`, it does the one job of that folder."""

import sys

if sys.argv[1:2] == ["--folder"]:
    from motools_build.running.worker import folder

    sys.exit(folder.main(sys.argv[2]))

from motools_build.running.worker.supervision import main

main(with_host="--with-host" in sys.argv[1:])
