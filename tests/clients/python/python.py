"""The Python SDK in each of its modes: every tool, resources, pages, notices, errors."""

import json

import anyio
import httpx2
from harness import DEADLINE, equal, main, over_http, serving, test, test_with, text_of
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import ResourcesListChanged, ResourceUpdated
from mcp.shared.exceptions import MCPError
from mcp_types import ResourceUpdatedNotification

LEGACY, AUTO, PINNED = MODES = ("legacy", "auto", "2026-07-28")
TOOLS = {"palace": 29, "memory": 9, "documents": 11}
HINTS = ("read_only_hint", "destructive_hint", "idempotent_hint", "open_world_hint")


def in_its_modes(function):
    return test_with(mode=MODES)(function)


def era(server):
    return server.client.session.protocol_version


async def call_every_tool(server, prefix="palace_"):
    """Calls all tools of all sets, with what the calls before have answered. Gives the names."""
    called = []

    async def call(tool, **arguments):
        called.append(tool)
        return await server.call(tool, **arguments)

    async def palace(tool, **arguments):
        return await call(prefix + tool, **arguments)

    # drawers
    text = "We sign tokens with Ed25519."
    added = await palace("add_drawer", wing="atlas", room="auth", content=text, source_file="a.md")
    drawer = added["drawer_id"]
    equal((added["durable"], added["conflicts"], added["reason"]), (True, [], None))
    again = await palace("add_drawer", wing="atlas", room="auth", content=text)
    equal((again["drawer_id"], again["reason"]), (drawer, "already_exists"))
    shown = await palace("get_drawer", drawer_id=drawer)
    equal((shown["content"], shown["metadata"]["source_files"]), (text, ["a.md"]))
    equal(shown["metadata"]["updated_by"], "every/1.0")
    updated = await palace("update_drawer", drawer_id=drawer, room="crypto")
    equal((updated["drawer_id"], updated["room"]), (drawer, "crypto"))
    kept = await palace(
        "checkpoint",
        items=[{"wing": "atlas", "room": "ops", "content": "Deploy on Mondays."}],
        diary={"agent_name": "Scout", "entry": "Settled the day."},
    )
    other = kept["items"][0]["drawer_id"]
    equal(kept["items"][0]["status"], "filed")
    both = await palace("get_drawers", drawer_ids=[drawer, other, "drawer_a_b_" + 24 * "0"])
    equal((both["count"], len(both["not_found"])), (2, 1))
    seen = kept["items"][0]["etag"]
    for day in ("Tuesdays", "Fridays"):
        await palace("update_drawer", drawer_id=other, content=f"Deploy on {day}.", base=seen)
    (one,) = (await palace("conflicts"))["conflicts"]
    texts = [one["shown"]["value"], *(reading["value"] for reading in one["others"])]
    equal(sorted(texts), ["Deploy on Fridays.", "Deploy on Tuesdays."])
    choice = {"conflict": one["number"], "take": one["others"][0]["etag"], "etag": one["etag"]}
    settled = await palace("settle", drawer_id=other, **choice)
    equal((settled["durable"], settled.get("open_conflicts", [])), (True, []))
    equal((await palace("get_drawer", drawer_id=other))["content"], one["others"][0]["value"])
    listed = await palace("list_drawers", wing="atlas")
    equal(sorted(d["drawer_id"] for d in listed["drawers"]), sorted([drawer, other]))
    equal((await palace("list_wings"))["wings"]["atlas"], 2)
    equal((await palace("list_rooms", wing="atlas"))["rooms"], {"crypto": 1, "ops": 1})
    equal((await palace("get_taxonomy"))["taxonomy"]["atlas"], {"crypto": 1, "ops": 1})
    found = await palace("search", query="How do we sign tokens?", limit=1)
    equal(found["results"][0]["drawer_id"], drawer)
    near = await palace("check_duplicate", content="we sign tokens, with ed25519")
    equal((near["is_duplicate"], near["matches"][0]["id"]), (True, drawer))
    status = await palace("status")
    equal(status["total_drawers"], 3, "the diary's entry is one too")
    equal([it["pid"] for it in status["instances"]], [server.pid])

    # facts
    ada = {"subject": "Ada", "predicate": "works_at"}
    await palace("kg_add", **ada, object="Acme", valid_from="2024-01-01")
    await palace("kg_supersede", **ada, old_object="Acme", new_object="Bolt", at="2026-03-01")
    facts = await palace("kg_query", entity="ada", as_of="2025-06-01")
    equal([fact["object"] for fact in facts["facts"]], ["Acme"])
    ended = await palace("kg_invalidate", **ada, object="Bolt", ended="2026-09-30")
    equal(ended["ended"], "2026-09-30")
    line = await palace("kg_timeline", entity="Ada")
    equal([fact["valid_to"] for fact in line["timeline"]], ["2026-03-01", "2026-09-30"])
    equal((await palace("kg_stats"))["expired_facts"], 2)
    deleted = [await palace("kg_delete", triple_id=ended["triple_id"]) for _ in range(2)]
    equal([it["noop"] for it in deleted], [False, True])
    equal((await palace("kg_stats"))["triples"], 1)

    # diaries, others, deletion
    await palace("diary_write", agent_name="Scout", entry="Deploys moved.", topic="ops")
    entries = await palace("diary_read", agent_name="Scout", last_n=1)
    equal((entries["entries"][0]["content"], entries["total"]), ("Deploys moved.", 2))
    own = await palace("changes_since", since="2020-01-01", include_own=True, limit=100)
    equal({change["by"] for change in own["changes"]}, {"every/1.0"})
    equal((await palace("delete_drawer", drawer_id=drawer))["durable"], True)
    gone = await palace("delete_drawers", drawer_ids=[drawer, other])
    equal((gone["count"], gone["not_found"]), (1, [drawer]))
    back = await palace("undelete_drawer", drawer_id=drawer)
    equal((back["noop"], back["room"]), (False, "crypto"))
    moved = await palace("move_drawers", wing="Atlas", to_wing="bosun")
    equal((moved["moved"], moved["more"]), (1, False))
    named = await palace("rename_place", wing="BOSUN", to="Carol")
    equal((named["from"], named["to"], named["drawers"]), ("bosun", "Carol", 1))

    # the reference's graph
    ann = {"name": "Ann", "entityType": "person", "observations": ["one"]}
    bob = {"name": "Bob", "entityType": "person", "observations": []}
    knows = {"from": "Ann", "to": "Bob", "relationType": "knows"}
    made = await call("create_entities", entities=[ann, bob])
    equal(made, {"entities": [ann, bob]})
    equal(await call("create_relations", relations=[knows]), {"relations": [knows]})
    two = {"entityName": "Ann", "contents": ["one", "two"]}
    more = await call("add_observations", observations=[two])
    equal(more["results"], [{"entityName": "Ann", "addedObservations": ["two"]}])
    graph = await call("read_graph")
    equal((len(graph["entities"]), graph["relations"]), (2, [knows]))
    equal((await call("search_nodes", query="TWO"))["entities"][0]["name"], "Ann")
    equal((await call("open_nodes", names=["Bob", "Nobody"]))["entities"], [bob])
    one = {"entityName": "Ann", "observations": ["one"]}
    equal((await call("delete_observations", deletions=[one]))["success"], True)
    await call("delete_relations", relations=[knows])
    await call("delete_entities", entityNames=["Bob"])
    left = [{"name": "Ann", "entityType": "person", "observations": ["two"]}]
    equal(await call("read_graph"), {"entities": left, "relations": []})

    # documents
    put = await call("document_put", key="notes/plan", value={"n": 5}, if_match="absent")
    equal((put["durable"], put["changed"], put["conflicts"]), (True, True, []))
    await call("document_patch", key="notes/plan", patch={"m": 1}, base=put["etag"])
    count = await call("document_increment", key="notes/plan", path="/visits", by=3)
    equal(count["count"], 3)
    value = (await call("document_get", key="notes/plan"))["value"]
    equal(value, {"n": 5, "m": 1, "visits": 3})
    equal((await call("document_get", key="notes/plan", path="/m"))["value"], 1)
    for n in (6, 7):
        await call("document_put", key="notes/plan", value={"n": n}, base=put["etag"])
    fields = (await call("document_conflicts", key="notes/plan"))["conflicts"]
    equal([field["path"] for field in fields], ["/n"])
    values = [fields[0]["shown"], *fields[0]["others"]]
    equal(sorted(value["value"] for value in values), [6, 7])
    choice = {"conflict": fields[0]["number"], "value": 8, "etag": fields[0]["etag"]}
    await call("document_settle", key="notes/plan", **choice)
    equal((await call("document_conflicts"))["conflicts"], [])
    equal((await call("document_get", key="notes/plan", path="/n"))["value"], 8)
    keys = [document["key"] for document in (await call("document_list"))["documents"]]
    equal(keys, ["notes/plan"])
    await call("document_put", key="notes/plan", value={"title": "sunflowers"})
    hits = (await call("document_search", query="sunflower*"))["documents"]
    equal([hit["key"] for hit in hits], ["notes/plan"])
    await call("document_restore", key="notes/plan", version=put["etag"])
    equal((await call("document_get", key="notes/plan"))["value"], {"n": 5})
    await call("document_delete", key="notes/plan")
    versions = (await call("document_history", key="notes/plan"))["versions"]
    equal((versions[0]["kind"], versions[0]["by"]), ("delete", "every/1.0"))
    equal((await call("document_list"))["documents"], [])
    return called


@in_its_modes
async def every_tool_answers_as_its_schema_says(directory, mode):
    async with serving(directory / "palace", mode, name="every") as server:
        equal(era(server), "2025-11-25" if mode == LEGACY else "2026-07-28")
        tools = (await server.client.list_tools()).tools
        equal(len(tools), sum(TOOLS.values()))
        for tool in tools:
            equal((tool.output_schema or {}).get("type"), "object", tool.name)
            hints = [getattr(tool.annotations, hint) for hint in HINTS]
            equal([type(hint) for hint in hints], 4 * [bool], tool.name)
        called = await call_every_tool(server)
        equal(set(called), {tool.name for tool in tools})


@in_its_modes
async def the_text_says_the_same_and_the_schema_would_notice(directory, mode):
    async with serving(directory / "palace", mode) as server:
        calls = {
            "palace_status": {},
            "document_put": {"key": "a", "value": {"n": 1}},
            "read_graph": {},
        }
        for tool, arguments in calls.items():
            result = await server.client.call_tool(tool, arguments)
            equal(json.loads(text_of(result)), result.structured_content, tool)
            field = next(iter(result.structured_content))
            wrong = {**result.structured_content, field: object}
            try:
                session = server.client.session
                broken = result.model_copy(update={"structured_content": wrong})
                await session.validate_tool_result(tool, broken)
            except RuntimeError:
                continue
            raise AssertionError(f"the schema of {tool} lets anything through")


@test
async def the_names_of_mempalace_can_be_had(directory):
    options = ("--tools", "palace,memory,documents", "--tool-prefix", "mempalace_")
    async with serving(directory / "palace", name="every", options=options) as server:
        names = {tool.name for tool in (await server.client.list_tools()).tools}
        equal(len([name for name in names if name.startswith("mempalace_")]), TOOLS["palace"])
        equal(set(await call_every_tool(server, "mempalace_")), names)


@in_its_modes
async def each_set_comes_alone_and_looking_leaves_no_trace(directory, mode):
    palace = directory / "palace"
    for tools, count in TOOLS.items():
        async with serving(palace, mode, options=("--tools", tools)) as server:
            equal(len((await server.client.list_tools()).tools), count)
            await server.client.list_resources()
            await server.client.list_resource_templates()
    equal(list(directory.iterdir()), [])


@in_its_modes
async def resources_are_listed_page_by_page_and_read(directory, mode):
    async with serving(directory / "palace", mode) as server:
        client = server.client
        # What is not a letter or a digit is escaped in a URI.
        keys = [f"notes/{n:03} ü" for n in range(120)]
        async with anyio.create_task_group() as group:
            for key in keys:
                group.start_soon(lambda key: server.call("document_put", key=key, value={}), key)
        await server.call("palace_add_drawer", wing="the atlas", room="maps", content="here")
        await server.call(
            "create_entities", entities=[{"name": "e", "entityType": "t", "observations": []}]
        )

        pages, cursor = [], None
        while cursor or not pages:
            page = await client.list_resources(cursor=cursor)
            pages.append([resource.uri for resource in page.resources])
            cursor = page.next_cursor
        escaped = [f"palace://document/notes%2F{n:03}%20%C3%BC" for n in range(120)]
        fixed = ["memory://knowledge-graph", "palace://status"]
        equal(len(pages), 2)
        equal(sum(pages, []), [*fixed, "palace://wing/the%20atlas", *escaped])
        templates = (await client.list_resource_templates()).resource_templates
        patterns = {template.uri_template for template in templates}
        equal(patterns, {"palace://document/{key}", "palace://wing/{wing}"})

        async def read(uri):
            [content] = (await client.read_resource(uri)).contents
            equal((content.uri, content.mime_type), (uri, "application/json"))
            return json.loads(content.text)

        equal((await read(escaped[7]))["key"], keys[7])
        wing = await read("palace://wing/the%20atlas")
        equal(wing, {"wing": "the atlas", "rooms": {"maps": 1}})
        equal((await read(fixed[0]))["entities"][0]["name"], "e")
        equal(len((await read(fixed[1]))["instances"]), 1)
        try:
            await client.read_resource("palace://document/none")
        except MCPError as error:
            equal(error.code, -32002 if mode == LEGACY else -32602)
        else:
            raise AssertionError("there is no such document")


@in_its_modes
async def tools_page_through_what_there_is(directory, mode):
    async with serving(directory / "palace", mode) as server:
        items = [{"wing": "w", "room": "r", "content": f"text {n}"} for n in range(45)]
        await server.call("palace_checkpoint", items=items, dedup_threshold=1.0)
        async with anyio.create_task_group() as group:
            for n in range(45):
                put = lambda n: server.call("document_put", key=f"k{n:02}", value={"n": n})
                group.start_soon(put, n)

        async def pages(tool, field, **arguments):
            found = []
            while True:
                page = await server.call(tool, limit=20, **arguments)
                found.append(page[field])
                if not page.get("next_cursor"):
                    return found
                arguments["cursor"] = page["next_cursor"]

        drawers = await pages("palace_list_drawers", "drawers", wing="w")
        equal([len(page) for page in drawers], [20, 20, 5])
        equal(len({drawer["drawer_id"] for drawer in sum(drawers, [])}), 45)
        found = await pages("palace_search", "results", query="text")
        equal(len({hit["drawer_id"] for hit in sum(found, [])}), 45)
        documents = await pages("document_list", "documents")
        equal([d["key"] for d in sum(documents, [])], [f"k{n:02}" for n in range(45)])


class Heard:
    """The URIs of notices, to wait for."""

    def __init__(self):
        self.send, self.receive = anyio.create_memory_object_stream(1000)

    async def handle(self, message):
        if isinstance(message, ResourceUpdatedNotification):
            await self.send.send(message.params.uri)


DOCUMENT = "palace://document/shared"
GRAPH = "memory://knowledge-graph"


async def write_both(writer, n):
    entity = {"name": f"e{n}", "entityType": "t", "observations": []}
    await writer.call("document_put", key="shared", value={"n": n})
    await writer.call("document_put", key=f"nobody asked for {n}", value={})
    await writer.call("create_entities", entities=[entity])


@test
async def a_subscriber_is_told_of_another_process(directory):
    palace, heard = directory / "palace", Heard()
    async with (
        serving(palace, PINNED) as writer,
        serving(palace, LEGACY, message_handler=heard.handle) as reader,
    ):
        for uri in (DOCUMENT, GRAPH):
            await reader.client.subscribe_resource(uri)
        for n in range(3):
            await write_both(writer, n)
            told = set()
            while told != {DOCUMENT, GRAPH}:
                uri = await heard.receive.receive()
                assert uri in (DOCUMENT, GRAPH), uri
                told.add(uri)
            [content] = (await reader.client.read_resource(DOCUMENT)).contents
            equal(json.loads(content.text)["value"], {"n": n})
        await reader.client.unsubscribe_resource(DOCUMENT)
        await reader.client.unsubscribe_resource(GRAPH)


@test_with(mode=(AUTO, PINNED))
async def a_listener_is_told_of_another_process(directory, mode):
    palace = directory / "palace"
    async with (
        serving(palace, LEGACY) as writer,
        serving(palace, mode) as reader,
        reader.client.listen(
            resource_subscriptions=[DOCUMENT, GRAPH, "palace://none"],
            resources_list_changed=True,
        ) as events,
    ):
        equal(sorted(events.honored.resource_subscriptions), sorted([DOCUMENT, GRAPH]))
        equal(events.honored.resources_list_changed, True)
        # Each is announced once at the start: what was read before may be out of date.
        told = set()
        while told != {DOCUMENT, GRAPH}:
            event = await anext(events)
            if isinstance(event, ResourceUpdated):
                told.add(event.uri)
        for n in range(3):
            await write_both(writer, n)
            told = set()
            # There are new documents, so the list has changed.
            while told != {DOCUMENT, GRAPH, "the list"}:
                event = await anext(events)
                of_list = isinstance(event, ResourcesListChanged)
                told.add("the list" if of_list else event.uri)
                assert told <= {DOCUMENT, GRAPH, "the list"}, told
            [content] = (await reader.client.read_resource(DOCUMENT)).contents
            equal(json.loads(content.text)["value"], {"n": n})


@in_its_modes
async def what_is_wrong_is_an_error_that_says_what_to_do(directory, mode):
    palace = directory / "palace"
    async with serving(palace, mode) as server:
        wrong = [
            ("palace_search", {"query": "x", "Limit": 1}, "did you mean limit?"),
            ("palace_add_drawer", {"wing": "w", "room": "r"}, "content"),
            ("palace_add_drawer", {"wing": "", "room": "r", "content": "x"}, "wing"),
            ("palace_list_drawers", {"limit": 0}, "1 to 100"),
            ("palace_kg_add", {"subject": "a", "predicate": "b", "object": 5}, "a text"),
            ("document_put", {"key": "k", "value": "text"}, "an object"),
            ("document_put", {"key": "drawer/a", "value": {}}, "RESERVED"),
            ("document_get", {"key": "none"}, "NOT_FOUND"),
            ("document_search", {"query": "x", "cursor": "none"}, "cursor"),
            ("create_entities", {"entities": [{"name": "x"}]}, "entityType"),
            ("open_nodes", {"names": [], "name": "x"}, "name"),
        ]
        for tool, arguments, word in wrong:
            result = await server.error(tool, **arguments)
            said = f"{text_of(result)} {result.structured_content}"
            assert word in said, f"{tool} {arguments}: {said}"
        equal(list(directory.iterdir()), [], "a call that was refused left a trace")

        etag = (await server.call("document_put", key="k", value={"n": 1}))["etag"]
        stale = await server.error("document_put", key="k", value={}, if_match="absent")
        equal(stale.structured_content["error"], "ETAG_MISMATCH")
        equal(stale.structured_content["current"]["etag"], etag)
        again = stale.structured_content["current"]["etag"]
        await server.call("document_put", key="k", value={"n": 2}, if_match=again)
        try:
            await server.client.call_tool("palace_none", {})
        except MCPError as error:
            equal(error.code, -32602)
        else:
            raise AssertionError("there is no such tool")
        equal((await server.call("document_get", key="k"))["value"], {"n": 2}, "it goes on")


@in_its_modes
async def a_server_over_http_lets_in_who_sends_its_token(directory, mode):
    with over_http(directory) as (url, token):
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(headers=headers, timeout=DEADLINE) as sender:
            async with Client(streamable_http_client(url, http_client=sender), mode=mode) as client:
                text = {"wing": "w", "room": "r", "content": "over HTTP"}
                filed = await client.call_tool("palace_add_drawer", text)
                equal((filed.is_error, filed.structured_content["durable"]), (False, True))
        async with httpx2.AsyncClient(timeout=DEADLINE) as sender:
            equal((await sender.get(url)).status_code, 401, "without the token")


main("python")
