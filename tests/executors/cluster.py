"""`sbatch`, `squeue` and `scancel` as programs that run jobs on this machine.

Their state is a folder; files in it make them misbehave:

    down       no command reaches the controller
    refuse     sbatch refuses, with this file's text
    no-arrays  sbatch refuses arrays, with this file's text
    limit      how many jobs may be pending and running
    lose       the next sbatch submits, and its answer is lost
    slow       the next sbatch answers when this file is gone
    hold       jobs wait until this file is gone
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

COMMON = """#!/bin/bash
D={folder}
echo >> $D/{name}.calls
if [ -e $D/down ]; then
  echo "{name}: error: Unable to contact slurm controller (connect failure)" >&2
  exit 1
fi
"""

SBATCH = """
if said=$(cat $D/refuse 2>/dev/null); then echo "$said" >&2; exit 1; fi
last=
for word in "$@"; do
  case "$word" in
    --array=0-*) last="${word##*-}" ;;
    --comment=*) comment="${word#*=}" ;;
    --output=*) output="${word#*=}" ;;
    -*) ;;
    *) cp "$word" $D/script.$$ || exit 1 ;;
  esac
done
if [ -n "$last" ] && [ -e $D/no-arrays ]; then cat $D/no-arrays >&2; exit 1; fi
if [ -e $D/limit ]; then
  alive=$(cat $D/job*/state 2>/dev/null | grep -c -e PENDING -e RUNNING)
  if [ $((alive + ${last:-0} + 1)) -gt $(cat $D/limit) ]; then
    echo "sbatch: error: QOSMaxSubmitJobPerUserLimit" >&2
    exit 1
  fi
fi
id=1
until mkdir $D/id$id 2>/dev/null; do id=$((id + 1)); done
submit() {
  mkdir $J
  printf '%s\\n' "${words[@]}" > $J/words
  echo $comment > $J/comment; echo "$output" > $J/output; echo "$1" > $J/task
  cp $D/script.$$ $J/script
  echo PENDING > $J/state.new; mv $J/state.new $J/state
}
begin() {  # a job has none of the descriptors of sbatch, such as that of a lock
  (
    for fd in $(ls /proc/$BASHPID/fd); do
      [ $fd -gt 2 ] && eval "exec $fd>&-"
    done
    exec setsid $D/bin/node $J
  ) </dev/null >/dev/null 2>&1 &
}
words=("$@")
if [ -z "$last" ]; then
  J=$D/job$id; submit N/A; begin
else
  for task in $(seq 0 $last); do J=$D/job${id}_$task; submit $task; done
  for task in $(seq 0 $last); do J=$D/job${id}_$task; begin; done
fi
rm $D/script.$$
if [ -e $D/lose ]; then
  rm $D/lose
  echo "sbatch: error: Socket timed out on send/recv operation" >&2
  exit 1
fi
while [ -e $D/slow ]; do sleep 0.02; done
echo $id
"""

NODE = """
J=$1
while [ -e $D/hold ]; do sleep 0.02; done
task=$(cat $J/task)
[ $task = N/A ] || export SLURM_ARRAY_TASK_ID=$task
exec 9> $J/lock; flock 9  # who ends a job finds its process, or it does not begin
if [ -e $J/over ]; then exit; fi
setsid bash $J/script >> "$(cat $J/output)" 2>&1 9>&- &
echo $! > $J/process
echo RUNNING > $J/state
exec 9>&-
wait $!
code=$?
if [ ! -e $J/over ]; then
  [ $code = 0 ] && echo COMPLETED > $J/state || echo FAILED > $J/state
fi
touch $J/left
"""

SQUEUE = """
for J in $D/job*; do
  [ -e $J/state ] || continue
  [ -e $J/forgotten ] && continue
  state=$(cat $J/state)
  [ $state = PENDING ] && place="|Priority||N/A" || place="|None|node1|N/A"
  echo "${J##*job}|$state$place|$(cat $J/task)|$(cat $J/comment)"
done
"""

SCANCEL = """
J=$D/job$1
exec 9> $J/lock; flock 9
touch $J/over
[ -e $J/process ] && kill -9 -- -$(cat $J/process)
echo CANCELLED > $J/state
"""


class Cluster:
    """A cluster of this machine."""

    name, label = "slurm", "Slurm"
    done, cancelled = "COMPLETED", "CANCELLED"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        own = {"sbatch": SBATCH, "squeue": SQUEUE, "scancel": SCANCEL}
        texts = {name: COMMON.replace("{name}", name) + own[name] for name in own}
        texts["node"] = "#!/bin/bash\nD={folder}\n" + NODE
        for name, text in texts.items():
            program = self.bin / name
            program.write_text(text.replace("{folder}", str(folder)))
            program.chmod(0o755)

    @property
    def path(self) -> str:
        """PATH with these commands before all others."""
        return f"{self.bin}{os.pathsep}{os.environ['PATH']}"

    @property
    def jobs(self) -> int:
        """The number of jobs that were submitted; each task of an array is one."""
        return len(list(self.folder.glob("job*")))

    def calls(self, name: str) -> int:
        """How often a command was called."""
        file = self.folder / f"{name}.calls"
        return len(file.read_text().splitlines()) if file.exists() else 0

    @property
    def listings(self) -> int:
        return self.calls("squeue")

    @property
    def submissions(self) -> int:
        return self.calls("sbatch")

    def id(self, number: int) -> str:
        """The cluster's ID of the job that was submitted at that place."""
        return str(number)

    def set(self, *names: str, text: str = "") -> None:
        for name in names:
            (self.folder / name).write_text(text)

    def unset(self, *names: str) -> None:
        for name in names:
            (self.folder / name).unlink()

    def state(self, id: int | str) -> str:
        try:
            return (self.folder / f"job{id}/state").read_text().strip()
        except FileNotFoundError:
            return ""

    def until(self, id: int | str, state: str) -> None:
        """Wait for a job's state."""
        end = time.monotonic() + 60
        while self.state(id) != state:
            assert time.monotonic() < end, self.state(id)
            time.sleep(0.01)

    def forget(self, id: int) -> None:
        """Have the queue not know a job any more."""
        (self.folder / f"job{id}/forgotten").touch()

    def again(self, id: int) -> None:
        """Run a job's script once more."""
        script = (self.folder / f"job{id}/script").read_text()
        subprocess.run(["bash", "-c", script], check=True)

    def kept(self) -> list[bytes]:
        """All that the cluster was told, and what it keeps."""
        return [path.read_bytes() for path in self.folder.rglob("*") if path.is_file()]

    def end(self, id: int | str, state: str) -> None:
        """End a job as Slurm does, with a state of its own."""
        job = self.folder / f"job{id}"
        self._kill(job)
        (job / "state").write_text(state)

    def requeue(self, id: int | str) -> None:
        """Kill a job in the midst of its work, and begin it again."""
        job = self.folder / f"job{id}"
        self._kill(job)
        end = time.monotonic() + 60
        while not (job / "left").exists():  # its node would set its state
            assert time.monotonic() < end
            time.sleep(0.01)
        (job / "state").write_text("PENDING")
        for name in ("process", "left", "over"):
            (job / name).unlink()
        os.spawnl(os.P_NOWAIT, str(self.bin / "node"), "node", str(job))

    def close(self) -> None:
        """End whatever still runs."""
        for job in self.folder.glob("job*"):
            self._kill(job)
        for name in ("hold", "slow"):  # a job that waits ends by that
            (self.folder / name).unlink(missing_ok=True)

    @staticmethod
    def _kill(job: Path) -> None:
        """Kill a job's process, or have it not begin."""
        with (job / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            (job / "over").touch()
        with suppress(FileNotFoundError, ProcessLookupError):
            os.killpg(int((job / "process").read_text()), signal.SIGKILL)
