"""The options of the executor `ray`, `[tool.motools_build.executor.ray]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ByteSize, Field

from motools_build.running.executors.options import MOST_TOGETHER, TOGETHER
from motools_build.spec import Spec


class RayOptions(Spec):
    """What is asked of Ray for one job."""

    cpus: float = Field(default=1, gt=0)
    """CPUs that the job reserves. Ray begins jobs that reserve nothing all at once."""
    gpus: float = Field(default=0, ge=0)
    """GPUs; the job sees no others."""
    memory: ByteSize | None = None
    """Memory that the job reserves: `64GiB`."""
    resources: Mapping[str, float] = Field(default_factory=dict)
    """Amounts of the cluster's custom resources."""
    together: int = Field(default=TOGETHER, ge=1, le=MOST_TOGETHER)
    """The most evals of one base model that one job does, one after another."""
    runtime_env: Mapping[str, Any] = Field(default_factory=dict)
    """Ray's own description of the environment, as `ray job submit` takes it. All who
    may look at the cluster see it, so it is no place for keys."""
    setup: tuple[str, ...] = ()
    """Lines of shell that go before the work."""
    python: str | None = None
    """The interpreter on the nodes; by default the path of the present one."""

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of Ray's request for a job that these options are."""
        asked: dict[str, Any] = {"entrypoint_num_cpus": self.cpus}
        if self.gpus:
            asked["entrypoint_num_gpus"] = self.gpus
        if self.memory:
            asked["entrypoint_memory"] = int(self.memory)
        if self.resources:
            asked["entrypoint_resources"] = dict(self.resources)
        return {**asked, "runtime_env": dict(self.runtime_env)}
