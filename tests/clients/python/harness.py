"""Runs the tests of a suite one after the other and counts; starts servers, and watches over how they end."""

import contextlib
import contextvars
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import traceback
import warnings

import anyio
from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPDeprecationWarning
from mcp_types import Implementation

BINARIES = pathlib.Path(os.environ["PALACE_BINARIES"])
PALACE = str(BINARIES / "crdt-palace")
LOG = str(BINARIES / "crdt-log")
ALL_SETS = ("--tools", "palace,memory,documents")
# A test that waits for longer has failed. It is for machines that are busy with other things.
DEADLINE = 300

# The tests also ask for what only the older protocol has.
warnings.simplefilter("ignore", MCPDeprecationWarning)

_tests = []


def test(function):
    """Marks a test: an async function of a directory of its own."""
    _tests.append((function.__name__, function))
    return function


def test_with(**values):
    """Marks a test that runs once for each of the values of one argument."""
    [(name, choices)] = values.items()

    def mark(function):
        for choice in choices:
            async def run(directory, choice=choice):
                await function(directory, **{name: choice})

            _tests.append((f"{function.__name__} [{choice}]", run))
        return function

    return mark


def equal(found, expected, about=""):
    if found != expected:
        raise AssertionError(f"{about}\n  found:    {found!r}\n  expected: {expected!r}")


def main(suite):
    """Runs all tests, or those whose name has the text that is given as an argument."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    passed = failed = 0
    for name, function in _tests:
        if wanted not in name:
            continue
        began = time.monotonic()
        try:
            with tempfile.TemporaryDirectory(prefix="clients-") as directory:
                anyio.run(_bounded, function, pathlib.Path(directory))
        except BaseException as error:  # also groups of exceptions, and those that end a program
            if isinstance(error, KeyboardInterrupt):
                raise
            failed += 1
            print(f"{suite}: FAILED {name}", flush=True)
            for cause in _causes(error):
                traceback.print_exception(cause, file=sys.stdout, chain=False)
        else:
            passed += 1
            print(f"{suite}: ok {name} ({time.monotonic() - began:.1f} s)", flush=True)
    print(f"{suite}: {passed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed or not passed else 0)


def _causes(error):
    """What went wrong, without the groups of tasks around it."""
    if isinstance(error, BaseExceptionGroup):
        return [cause for inner in error.exceptions for cause in _causes(inner)]
    return [error]


async def _bounded(function, directory):
    with anyio.fail_after(DEADLINE):
        await function(directory)


class Server:
    """A server that the SDK has started, with the SDK's client of it."""

    def __init__(self, client, process):
        self.client = client
        self.process = process
        self.killed = False

    @property
    def pid(self):
        return self.process.pid

    def kill(self):
        self.killed = True
        self.process.kill()

    async def call(self, tool, **arguments):
        """The structured result, which the SDK has compared with the tool's schema."""
        result = await self.client.call_tool(tool, arguments)
        if result.is_error:
            raise AssertionError(f"{tool} {arguments}: {text_of(result)}")
        return result.structured_content

    async def error(self, tool, **arguments):
        """The result of a call that has to fail."""
        result = await self.client.call_tool(tool, arguments)
        if not result.is_error:
            raise AssertionError(f"{tool} {arguments}: {result.structured_content}")
        return result


def text_of(result):
    [content] = result.content
    return content.text


_started = contextvars.ContextVar("the process that this task has started last")
_open_process = anyio.open_process


async def _recorded(*arguments, **options):
    process = await _open_process(*arguments, **options)
    _started.set(process)
    return process


# The SDK keeps the processes that it starts to itself.
anyio.open_process = _recorded


def started():
    """The process that the SDK has started last, in this task."""
    return _started.get()


def parameters(palace, *options):
    return StdioServerParameters(command=PALACE, args=["serve", *options, "--palace", str(palace)])


@contextlib.asynccontextmanager
async def serving(palace, mode="auto", name="tests", options=ALL_SETS, **more):
    """A server on the palace. It must end with 0 when its input does, unless it was killed."""
    info = Implementation(name=name, version="1.0")
    server = None
    async with Client(parameters(palace, *options), mode=mode, client_info=info, **more) as client:
        server = Server(client, started())
        yield server
    if not server.killed:
        equal(server.process.returncode, 0, "the exit code at the end of input")


@contextlib.contextmanager
def over_http(directory, *options):
    """The URL of a server over HTTP, and the token that it has made, or None. It must end with 0 when it is told to."""
    command = [PALACE, "serve", *ALL_SETS, "--palace", str(directory / "palace"), "--http", "127.0.0.1:0", *options]
    # What it makes is in this directory, and not in that of the user.
    environment = {name: value for name, value in os.environ.items() if name != "CRDT_PALACE_TOKEN"}
    environment |= {"XDG_RUNTIME_DIR": "", "XDG_STATE_HOME": str(directory / "state")}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as server:
        try:
            url = re.fullmatch(r"crdt-palace: listening on (http://\S+)\n", server.stderr.readline())[1]
            made = re.search(r"the token is in (\S+);", server.stderr.readline())
            yield url, made and pathlib.Path(made[1]).read_text().strip()
        finally:
            server.terminate()
            code = server.wait(DEADLINE)
    equal(code, 0, "the exit code after SIGTERM")


def run(*command):
    """The standard output of a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    equal(done.returncode, 0, f"{command}: {done.stdout}{done.stderr}")
    return done.stdout


def commits(palace):
    """Every commit, as `crdt-log dump` tells it."""
    return [json.loads(line) for line in run(LOG, "dump", "--json", str(palace)).splitlines()]
