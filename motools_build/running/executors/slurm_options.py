"""The options of the executor `slurm`, `[tool.motools_build.executor.slurm]`."""

from __future__ import annotations

from pydantic import Field

from motools_build.running.executors.options import MOST_TOGETHER, TOGETHER
from motools_build.spec import Spec


class SlurmOptions(Spec):
    """What is asked of Slurm for one job, in the words of `sbatch`. A field that is
    None is left to Slurm's own default."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    gres: str | None = None
    """Generic resources: `gpu:1`."""
    time: str | None = None
    """The time limit: `8:00:00`, or a number of minutes."""
    memory: str | None = None
    """Memory of the node: `64G`."""
    cpus: int | None = Field(default=None, ge=1)
    """CPUs of the job."""
    together: int = Field(default=TOGETHER, ge=1, le=MOST_TOGETHER)
    """The most evals of one base model that one job does, one after another."""
    setup: tuple[str, ...] = ()
    """Lines of shell that go before the work: `module load cuda`."""
    python: str | None = None
    """The interpreter on the nodes; by default the path of the present one."""

    @property
    def words(self) -> list[str]:
        """The options for sbatch's command line."""
        given = {
            "--partition": self.partition,
            "--account": self.account,
            "--qos": self.qos,
            "--gres": self.gres,
            "--time": self.time,
            "--mem": self.memory,
            "--cpus-per-task": self.cpus,
        }
        return [f"{name}={value}" for name, value in given.items() if value is not None]
