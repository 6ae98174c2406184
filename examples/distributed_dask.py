"""Spread requests and downloads over the processes of a Dask cluster; here, over two on this machine.

python examples/distributed_dask.py [BASE_URL]      (needs: pip install distributed)
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import client
from client.testing import LoopbackServer

try:
    from distributed import Client, LocalCluster
except ImportError:
    Client = LocalCluster = None

FILES = 40


def main(base_url: str) -> dict[str, int]:
    urls = [f"{base_url}/bytes/{1000 + number}" for number in range(FILES)]
    with (
        # In your own program: Client("tcp://scheduler:8786"). Here any free ports, on this machine alone.
        LocalCluster(
            n_workers=2, threads_per_worker=2, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster) as dask,
        client.Session(workers=4, timeout=30, retries=3) as session,  # workers=: threads of the whole cluster
        tempfile.TemporaryDirectory() as folder,
    ):
        executor = dask.get_executor()
        received = 0
        for response in session.map(urls, executor=executor):  # in order; 8 jobs are on their way, not all
            response.raise_for_status()
            received += len(response.content)

        # Whole files, into a folder that all workers see. A worker may die: another one does its work.
        results = session.download_many(((url, folder) for url in urls), executor=executor)
        for failed in results.failed:
            print(failed.path, failed.error, file=sys.stderr)
        saved = sum(path.stat().st_size for path in Path(folder).iterdir())
    return {"received": received, "saved": saved, "failed": len(results.failed)}


if __name__ == "__main__":
    if LocalCluster is None:
        sys.exit("this example needs Dask: pip install distributed")
    with LoopbackServer() as server:
        print(main(sys.argv[1] if len(sys.argv) > 1 else server.url))
