"""Many servers on one palace, driven by the Python SDK: some are killed, paused, or started twice."""

import collections
import contextlib
import pathlib
import signal

import anyio
from harness import ALL_SETS, LOG, commits, equal, main, parameters, run, serving, started, test, test_with
from mcp.client.stdio import stdio_client
from mcp.shared.exceptions import MCPError

MODES = ("legacy", "auto", "2026-07-28")
SERVERS = 20
IN_FLIGHT = 20
ROUNDS = 4
# How many answers a server has given when it is killed or paused.
SOON = 30


def name(server):
    return f"client-{server}"


class Work:
    """What one server is asked to write, and what it has acknowledged."""

    def __init__(self, number, server):
        self.number = number
        self.server = server
        self.acknowledged = collections.defaultdict(set)
        self.answers = 0
        self.in_flight = 0
        self.reached = anyio.Event()
        self.died_with = 0

    async def write(self, kind, label):
        call = self.server.call
        if kind == "drawer":
            text = f"the text of {label}"
            added = await call("palace_add_drawer", wing="w", room=f"r{self.number}", content=text)
            return added["drawer_id"]
        if kind == "diary":
            agent = name(self.number)
            return (await call("palace_diary_write", agent_name=agent, entry=label))["entry_id"]
        if kind == "fact":
            await call("palace_kg_add", subject="hub", predicate="leads_to", object=label)
        elif kind == "document":
            await call("document_put", key=f"own/{label}", value={"by": self.number})
        elif kind == "count":
            await call("document_increment", key="shared", path="/n")
        elif kind == "field":
            await call("document_patch", key="shared", patch={label: self.number})
        elif kind == "entity":
            entity = {"name": label, "entityType": "t", "observations": []}
            await call("create_entities", entities=[entity])
        elif kind == "observation":
            seen = {"entityName": "hub", "contents": [label]}
            await call("add_observations", observations=[seen])
        return label

    async def do(self, task):
        """One of the calls in flight, again and again."""
        for round in range(ROUNDS):
            kind = KINDS[(task + round) % len(KINDS)]
            self.in_flight += 1
            try:
                written = await self.write(kind, f"{self.number}-{task}-{round}")
            except MCPError:
                if self.server.killed:
                    return
                raise
            finally:
                self.in_flight -= 1
            self.acknowledged[kind].add(written)
            self.answers += 1
            if self.answers == SOON:
                self.reached.set()
                if self.number == KILLED:
                    self.died_with = self.in_flight
                    self.server.kill()
                if self.number == PAUSED:
                    self.server.process.send_signal(signal.SIGSTOP)

    async def do_all(self):
        async with anyio.create_task_group() as group:
            for task in range(IN_FLIGHT):
                group.start_soon(self.do, task)


KINDS = ("drawer", "document", "count", "entity", "observation", "fact", "diary", "field")
KILLED, PAUSED = 0, 1


async def all_acknowledged_is_there(server, work):
    """Compares what a server reads with what others have acknowledged."""

    def acknowledged(kind):
        return set().union(*(each.acknowledged[kind] for each in work))

    drawers = acknowledged("drawer") | acknowledged("diary")
    missing = await server.call("palace_get_drawers", drawer_ids=sorted(drawers)[:500])
    equal((len(drawers) <= 500, missing["not_found"]), (True, []))

    async def pages(tool, field, **arguments):
        found = []
        while True:
            page = await server.call(tool, **arguments)
            found += page[field]
            if not page.get("next_cursor"):
                return found
            arguments["cursor"] = page["next_cursor"]

    documents = await pages("document_list", "documents", prefix="own/")
    there = {document["key"].removeprefix("own/") for document in documents}
    equal(acknowledged("document") - there, set())
    facts = await pages("palace_kg_query", "facts", entity="hub")
    equal(acknowledged("fact") - {fact["object"] for fact in facts}, set())
    graph = await server.call("open_nodes", names=["hub", *acknowledged("entity")])
    equal(acknowledged("entity") - {entity["name"] for entity in graph["entities"]}, set())
    [hub] = [entity for entity in graph["entities"] if entity["name"] == "hub"]
    equal(acknowledged("observation") - set(hub["observations"]), set())
    shared = (await server.call("document_get", key="shared"))["value"]
    equal(acknowledged("field") - set(shared), set())
    counted = sum(len(each.acknowledged["count"]) for each in work)
    # What was in flight when its server was killed may have been written.
    most = counted + work[KILLED].died_with
    assert counted <= shared["n"] <= most, f"{counted} <= {shared['n']} <= {most}"


@test
async def twenty_servers_with_twenty_calls_in_flight_lose_nothing(directory):
    palace = directory / "palace"
    async with contextlib.AsyncExitStack() as stack:
        work = []
        for n in range(SERVERS):
            server = await stack.enter_async_context(serving(palace, MODES[n % 3], name(n)))
            work.append(Work(n, server))
        hub = {"name": "hub", "entityType": "t", "observations": []}
        await work[-1].server.call("create_entities", entities=[hub])

        async with anyio.create_task_group() as group:
            paused = work[PAUSED]
            group.start_soon(paused.do_all)
            async with anyio.create_task_group() as others:
                for each in work:
                    if each is not paused:
                        others.start_soon(each.do_all)
            # They have come to their end without the one that sleeps.
            await paused.reached.wait()
            state = pathlib.Path(f"/proc/{paused.server.pid}/stat").read_text().rsplit(")")[1]
            equal(state.split()[0], "T")
            assert paused.in_flight > 0, "it was paused with nothing to do"
            asleep = paused.answers
            paused.server.process.send_signal(signal.SIGCONT)
        assert work[KILLED].died_with > 0, "it was killed with nothing to do"
        assert asleep < paused.answers
        for each in work[1:]:
            equal(each.answers, IN_FLIGHT * ROUNDS, name(each.number))

        async with serving(palace) as fresh:
            await all_acknowledged_is_there(fresh, work)
            status = await fresh.call("palace_status")
            alive = {each.server.pid for each in work[1:]}
            equal({instance["pid"] for instance in status["instances"]}, alive)
    async with serving(palace) as fresh:
        await all_acknowledged_is_there(fresh, work)

    run(LOG, "verify", str(palace))
    writers = collections.defaultdict(set)
    for commit in commits(palace):
        for document in commit["documents"]:
            writers[document["key"]].add(commit["by"])
    for each in work:
        own = {f"own/{label}" for label in each.acknowledged["document"]}
        for key in own | {f"entity/{label}" for label in each.acknowledged["entity"]}:
            assert f"{name(each.number)}/1.0" in writers[key], f"{key}: {writers[key]}"
            equal(writers[key] - {f"{name(each.number)}/1.0"}, set(), key)


@test_with(round=range(10))
async def the_same_server_twice_at_once_on_an_empty_directory(directory, round):
    palace, ready = directory / "palace", [anyio.Event(), anyio.Event()]
    done = [anyio.Event(), anyio.Event()]

    async def one(number):
        # At once, and in all combinations of eras.
        mode = MODES[round % 3 if number == 0 else round // 3 % 3]
        async with serving(palace, mode, name(number)) as server:
            ready[number].set()
            await ready[1 - number].wait()
            async with anyio.create_task_group() as group:
                for n in range(5):
                    put = lambda n: server.call("document_put", key=f"{number}/{n}", value={})
                    group.start_soon(put, n)
                    count = lambda: server.call("document_increment", key="shared", path="/n")
                    group.start_soon(count)
            done[number].set()
            await done[1 - number].wait()
            listed = (await server.call("document_list"))["documents"]
            wanted = {f"{one}/{n}" for one in range(2) for n in range(5)} | {"shared"}
            equal({document["key"] for document in listed}, wanted)
            equal((await server.call("document_get", key="shared"))["value"], {"n": 10})

    async with anyio.create_task_group() as group:
        group.start_soon(one, 0)
        group.start_soon(one, 1)
    run(LOG, "verify", str(palace))
    equal({commit["by"] for commit in commits(palace)}, {f"{name(0)}/1.0", f"{name(1)}/1.0"})


async def until_it_runs(pid):
    """Until the process has started the threads that answer requests."""
    while len(list(pathlib.Path(f"/proc/{pid}/task").iterdir())) < 2:
        await anyio.lowlevel.checkpoint()


@test
async def killed_between_spawn_and_first_request_it_leaves_nothing_behind(directory):
    for n in range(20):
        with open("/dev/null", "w") as log:
            async with stdio_client(parameters(directory / "palace", *ALL_SETS), log):
                process = started()
                if n % 2:
                    await until_it_runs(process.pid)
                process.kill()
        equal(process.returncode, -signal.SIGKILL)
        equal(list(directory.iterdir()), [])


@test_with(mode=MODES)
async def killed_before_the_first_write_it_leaves_nothing_behind(directory, mode):
    async with serving(directory / "palace", mode) as server:
        await server.client.list_tools()
        await server.client.list_resources()
        await server.call("palace_status")
        await server.call("palace_search", query="anything")
        server.kill()
    equal(list(directory.iterdir()), [])


@test
async def history_and_dump_tell_the_clients_apart(directory):
    palace = directory / "palace"
    async with (
        serving(palace, "legacy", "ann") as ann,
        serving(palace, "2026-07-28", "bob") as bob,
    ):
        etag = (await ann.call("document_put", key="plan", value={"n": 1}))["etag"]
        await bob.call("document_patch", key="plan", patch={"n": 2}, if_match=etag)
        await ann.call("document_increment", key="plan", path="/visits")
        versions = (await bob.call("document_history", key="plan"))["versions"]
        equal([version["by"] for version in versions], ["ann/1.0", "bob/1.0", "ann/1.0"])
        added = await bob.call("palace_add_drawer", wing="w", room="r", content="text")
        shown = await ann.call("palace_get_drawer", drawer_id=added["drawer_id"])
        equal(shown["metadata"]["updated_by"], "bob/1.0")
        told = await ann.call("palace_changes_since", since="2020-01-01")
        equal({change["by"] for change in told["changes"]}, {"bob/1.0"})
    dumped = collections.Counter()
    for commit in commits(palace):
        dumped.update((document["id"], commit["by"]) for document in commit["documents"])
    drawer = added["drawer_id"]
    equal(dumped, {("plan", "ann/1.0"): 2, ("plan", "bob/1.0"): 1, (drawer, "bob/1.0"): 1})


main("processes")
