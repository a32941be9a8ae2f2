"""Entry point of a worker. With `--with-host`, it ends when its host does; with
`--folder FOLDER...`, it does the jobs of these folders; with `--store ADDRESS --job
NAME`, the one whose files are in a shared store."""

import sys

if sys.argv[1:2] == ["--folder"]:
    from motools_build.running.worker import folder

    sys.exit(folder.main(*sys.argv[2:]))

if sys.argv[1:2] == ["--store"]:
    from motools_build.running.worker import carried

    sys.exit(carried.main(sys.argv[2], sys.argv[4]))

from motools_build.running.worker.supervision import main

main(with_host="--with-host" in sys.argv[1:])
