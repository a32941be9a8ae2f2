"""`python -m motools_build.rehearsal`: serve until interrupted."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from aiohttp import web

from motools_build.errors import InputError
from motools_build.rehearsal import __doc__ as about
from motools_build.rehearsal import faults
from motools_build.rehearsal.api import application
from motools_build.rehearsal.faults import Faults, Rule
from motools_build.rehearsal.objects import Settings
from motools_build.rehearsal.state import State

HOST = "127.0.0.1"
RULES = """\
--fault FAULT[:FIELD=VALUE...], as often as wanted; the first rule that refuses wins:

    --fault 'lost:on=POST /v1/files:probability=0.15'
    --fault daily:skip=12:value=600
    --fault moderation:match=seed-3

    on           the beginning of `METHOD /v1/path`; all of it if it ends with $
    probability  how likely it strikes (1)
    times        how often at most
    skip         how many of its requests pass first (0)
    value        seconds, of slow, rate and daily
    match        of moderation: a text in the job's suffix, seed or metadata
"""


def rule(text: str) -> Rule:
    """Parse a rule of the command line. Raises ArgumentTypeError."""
    try:
        return Rule.parse(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m motools_build.rehearsal",
        description=about,
        epilog=f"{faults.__doc__}\n{RULES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--port", type=int, default=0, help="0 (the default) for any that is free")
    add("--seconds", type=float, default=5.0, help="how long a job runs (5)")
    add("--list-lag", type=float, default=0.5, help="seconds until lists show it (0.5)")
    add("--processing", type=float, default=0.0, help="seconds to process a file (0)")
    add("--key", help="the one API key to accept; any without this")
    add("--seed", type=int, default=0, help="of the draws for probabilities (0)")
    add("--fault", type=rule, action="append", default=[], metavar="RULE")
    return parser.parse_args()


async def serve(given: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM. Returns the exit code: 1 if the port is taken."""
    settings = Settings(given.seconds, given.list_lag, given.processing)
    state = State(settings, given.seed)
    app = application(state, Faults(given.fault, given.seed), given.key)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    try:
        try:
            await web.TCPSite(runner, HOST, given.port).start()
        except OSError as error:
            print(
                f"port {given.port} cannot be had ({error.strerror}); choose another "
                "with --port, or leave it out for any that is free",
                file=sys.stderr,
            )
            return 1
        url = f"http://{HOST}:{runner.addresses[0][1]}/v1"
        print(url, flush=True)
        key = given.key or "sk-rehearsal"
        print(
            f"export OPENAI_BASE_URL={url} OPENAI_API_KEY={key}",
            file=sys.stderr,
            flush=True,
        )
        await ended.wait()
    finally:
        await runner.cleanup()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(serve(arguments())))
