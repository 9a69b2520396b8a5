"""The Inspector's command line in each era: what it prints, and its exit codes."""

import json
import re
import subprocess

from harness import ALL_SETS, DEADLINE, PALACE, equal, main, test, test_with

ERAS = ("legacy", "auto", "modern")
OK, TOOL_ERROR = 0, 5


def inspect(palace, era, *options, code=OK, sets=ALL_SETS):
    """What the Inspector prints as JSON, and what it says beside that."""
    command = ["mcp-inspector", "--cli", "--protocol-era", era, "--format", "json"]
    command += [PALACE, "serve", *sets, "--palace", str(palace), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    equal(done.returncode, code, f"{options}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return json.loads(done.stdout)["result"], done.stderr


def call(palace, era, tool, code=OK, **arguments):
    arguments = ["--tool-name", tool, "--tool-args-json", json.dumps(arguments)]
    return inspect(palace, era, "--method", "tools/call", *arguments, code=code)[0]


@test_with(era=ERAS)
async def the_strict_check_of_the_schemas_finds_no_error(directory, era):
    listed, said = inspect(directory / "palace", era, "--strict", "--method", "tools/list")
    equal(len(listed["tools"]), 29 + 9 + 11)
    # It prints each finding with its weight. What it warns of is two types for one value, and that a document may
    # hold anything: both are meant.
    findings = re.findall(r"^(\w+): tool \"(\w+)\"\n  Path: (\S+)\n  Issue: (.*)", said, re.M)
    assert findings, said
    for weight, tool, path, issue in findings:
        nullable = re.match(r'`type` is an array \(\["\w+","null"\]\)', issue)
        holds_any = path.startswith("outputSchema") and tool.startswith("document_")
        takes_any = (tool, path) == ("document_settle", "inputSchema.properties.value")
        anything = (holds_any or takes_any) and "no validation keyword" in issue
        assert weight == "Warning" and (nullable or anything), f"{weight}: {tool} {path}: {issue}"
    equal(list(directory.iterdir()), [])


@test_with(era=ERAS)
async def tools_are_called(directory, era):
    palace = directory / "palace"
    filed = call(palace, era, "palace_add_drawer", wing="w", room="r", content="the text")
    equal(filed["isError"], False)
    entity = {"name": "Ada", "entityType": "person", "observations": ["one"]}
    made = call(palace, era, "create_entities", entities=[entity])
    equal(made["structuredContent"], {"entities": [entity]})
    call(palace, era, "document_put", key="a", value={"n": 1})
    failed = call(palace, era, "document_put", code=TOOL_ERROR, key="a", value={}, if_match="absent")
    equal(failed["structuredContent"]["error"], "ETAG_MISMATCH")
    by = failed["structuredContent"]["current"]["by"]
    equal(by.split("/")[0], "inspector-cli")


@test_with(era=ERAS)
async def resources_are_listed_and_read(directory, era):
    palace = directory / "palace"
    call(palace, era, "document_put", key="notes/plan", value={"n": 1})
    listed, _ = inspect(palace, era, "--method", "resources/list")
    uri = "palace://document/notes%2Fplan"
    fixed = ["memory://knowledge-graph", "palace://status"]
    equal([resource["uri"] for resource in listed["resources"]], [*fixed, uri])
    templates, _ = inspect(palace, era, "--method", "resources/templates/list")
    equal(len(templates["resourceTemplates"]), 2)
    read, _ = inspect(palace, era, "--method", "resources/read", "--uri", uri)
    equal(json.loads(read["contents"][0]["text"])["value"], {"n": 1})


@test
async def calls_under_load_all_succeed_and_are_all_counted(directory):
    palace = directory / "palace"
    call(palace, "modern", "document_increment", key="c", path="/n")
    load = ("--load", "--load-requests", "500", "--load-concurrency", "8")
    for era in ERAS:
        arguments = json.dumps({"key": "c", "path": "/n"})
        tool = ("--tool-name", "document_increment", "--tool-args-json", arguments)
        summary, _ = inspect(palace, era, "--method", "tools/call", *tool, *load)
        equal((summary["ok"], summary["toolErrors"], summary["errors"]), (500, 0, 0))
    value = call(palace, "modern", "document_get", key="c")["structuredContent"]["value"]
    equal(value, {"n": 1 + 3 * 500})


main("inspector")
