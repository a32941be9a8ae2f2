"""What a shared store costs: a no-op, a push, a pull; and three clients on one work.

    python -m benchmarks.store [CHAINS]

1,000 chains (a model and two evals each) are 3,000 stages. The no-op with a store is
compared with the same without; its requests are counted by a proxy before the server.
A push is compared with a bare client that puts the same bytes under the same names
with the same number of threads, and a pull with bare gets. At last obstore, boto3 and
s3fs put, get, list, and move 64 MB. The server is moto's, on this machine: it shows the
client's cost and the number of requests, and not what a cloud takes.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import obstore

from benchmarks.noop import ROOT, cpu, project
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.shared.address import Address
from motools_build.store.shared.objects import Objects
from motools_build.store.shared.tier import AT_ONCE, KINDS, Tier
from tests.shared.servers import Bucket, moto

SEEDS = 100
SMALL = 1000
"""Objects that each client puts and gets."""
LARGE = 64 << 20


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def lowest(work: Callable[[int], object], times: int = 3) -> float:
    return min(timed(lambda n=n: work(n)) for n in range(times))  # type: ignore[misc]


def at_once(call: Callable[[Any], object], items: Sequence[Any]) -> None:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(call, items))


def no_op(folder: Path, settings: int, bucket: Bucket) -> None:
    """CPU seconds of a no-op, without a store and with one."""
    doit = [sys.executable, "-m", "doit", "run", *(f"s{n}" for n in range(settings))]
    os.environ.update(bucket.environ)
    without = cpu(doit, folder)
    file = folder / "pyproject.toml"
    before = file.read_text()
    file.write_text(f'{before}\n[tool.motools_build]\nstore = "{bucket.address}"\n')
    bucket.proxy.counts.clear()
    with_store = cpu(doit, folder)
    requests = bucket.proxy.counts.total()
    file.write_text(before)
    print(
        f"no-op: {without:.2f} CPU s without a store, {with_store:.2f} with one "
        f"({with_store / without:.2f}); requests in three no-ops: {requests}"
    )


def push_and_pull(bucket: Bucket) -> None:
    """A push of every artifact of the working directory, and its bare puts."""
    store = ArtifactStore()
    direct = bucket.proxy.target  # the proxy would be what is measured
    os.environ.update({**bucket.environ, "AWS_ENDPOINT_URL": direct})
    records = [record for kind in KINDS for record in store.records(kind)]

    def objects(name: str) -> Objects:
        return Objects(Address.parse(f"s3://bucket/{name}"))

    def pushed(n: int) -> None:
        tier = Tier(objects(f"push{n}"), ArtifactStore())
        at_once(tier.push, records)

    files = [
        (f"{record.key}/{name}", (store.folder_of(record) / name).read_bytes())
        for record in records
        for name in (*record.payload, "record.json")
    ]

    def bare(n: int) -> None:
        client = objects(f"bare{n}").address.client()
        at_once(lambda one: obstore.put(client, one[0], one[1]), files)

    for each in (pushed, bare):  # the first use imports and connects
        each(9)
    push, puts = lowest(pushed), lowest(bare)
    print(
        f"push of {len(records)} artifacts: {push:.1f} s; bare puts of their "
        f"{len(files)} objects: {puts:.1f} s; {push / puts:.2f} times"
    )
    tier = Tier(objects("push0"), store)
    print(f"listing of them: {timed(lambda: tier.listed):.2f} s")


def clients(bucket: Bucket) -> None:
    """Three clients on the same work."""
    import boto3
    import s3fs

    url = bucket.proxy.target
    os.environ.update({**bucket.environ, "AWS_ENDPOINT_URL": url})
    ours = Address.parse("s3://bucket/of-obstore").client()
    boto = boto3.client("s3", endpoint_url=url)
    fs = s3fs.S3FileSystem(endpoint_url=url, use_listings_cache=False)
    data, large = os.urandom(2000), os.urandom(LARGE)
    names = [f"{n:04d}" for n in range(SMALL)]

    def listed_by_boto() -> int:
        pages = boto.get_paginator("list_objects_v2")
        found = pages.paginate(Bucket="bucket", Prefix="of-boto3/")
        return sum(len(page.get("Contents", ())) for page in found)

    by: dict[str, tuple[Callable[..., object], ...]] = {
        "obstore": (
            lambda name: obstore.put(ours, name, data, use_multipart=False),
            lambda name: bytes(obstore.get(ours, name).bytes()),
            lambda: [one for page in obstore.list(ours) for one in page],
            lambda: obstore.put(ours, "large", large),
        ),
        "boto3": (
            lambda name: boto.put_object(
                Bucket="bucket", Key=f"of-boto3/{name}", Body=data
            ),
            lambda name: boto.get_object(Bucket="bucket", Key=f"of-boto3/{name}")[
                "Body"
            ].read(),
            listed_by_boto,
            lambda: boto.put_object(Bucket="bucket", Key="of-boto3/large", Body=large),
        ),
        "s3fs": (
            lambda name: fs.pipe_file(f"bucket/of-s3fs/{name}", data),
            lambda name: fs.cat_file(f"bucket/of-s3fs/{name}"),
            lambda: fs.find("bucket/of-s3fs"),
            lambda: fs.pipe_file("bucket/of-s3fs/large", large),
        ),
    }
    print(f"{'':8} {'puts':>6} {'gets':>6} {'list':>6} {'64 MB':>6}  wall s, CPU s")
    for name, (put, get, listing, send) in by.items():
        at_once(put, names[:20])
        before = time.process_time()
        found = [
            timed(lambda put=put: at_once(put, names)),  # type: ignore[misc]
            timed(lambda get=get: at_once(get, names)),  # type: ignore[misc]
            timed(listing),
            timed(send),
        ]
        spent = time.process_time() - before
        walls = " ".join(f"{one:6.2f}" for one in found)
        print(f"{name:8} {walls}  {spent:.2f}")
    for module in ("obstore", "boto3", "s3fs"):
        took = cpu([sys.executable, "-c", f"import {module}"], ROOT)
        print(f"import {module}: {took:.2f} CPU s")


def main() -> None:
    chains = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    settings = max(1, chains // SEEDS)
    with moto() as bucket, tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        project(folder, settings, min(chains, SEEDS))
        time.sleep(2.5)  # the memo keeps digests only of files older than two seconds
        no_op(folder, settings, bucket)
        push_and_pull(bucket)
        os.chdir(ROOT)
        clients(bucket)


if __name__ == "__main__":
    main()
