"""The conformance suite over HTTP, at the newest version of each era.

What cannot pass is listed in the files beside the suites, each with its reason. What is listed and passes fails too.
"""

import json
import pathlib
import re
import subprocess

from harness import DEADLINE, equal, main, over_http, test_with

HERE = pathlib.Path(__file__).resolve().parent.parent
# How many scenarios there are, so that it shows if the suite runs fewer.
SCENARIOS = {"2025-11-25": 33, "2026-07-28": 40}


def conformance(url, version, results, expected):
    """The exit code, and what was printed."""
    # Its own limit is for a machine that does nothing else.
    command = ["conformance", "server", "--url", url, "--suite", "all", "--spec-version", version]
    command += ["--timeout", "120000", "--output-dir", results, "--expected-failures", str(expected)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    return done.returncode, done.stdout + done.stderr


def checks(results):
    """The checks of each scenario."""
    found = {}
    for path in pathlib.Path(results).glob("*/checks.json"):
        scenario = re.sub(r"-\d{4}-\d\d-\d\dT.*$", "", path.parent.name).removeprefix("server-")
        found[scenario] = json.loads(path.read_text())
    return found


@test_with(version=SCENARIOS)
async def all_passes_but_what_is_listed_with_its_reason(directory, version):
    results, expected = directory / "results", HERE / f"conformance-{version}.yml"
    # The suite cannot send a token.
    with over_http(directory, "--no-token") as (url, _):
        code, said = conformance(url, version, str(results), expected)
    equal(code, 0, said[-3000:])
    found = checks(results)
    equal(len(found), SCENARIOS[version], sorted(found))
    every = [(check["id"], check["status"]) for made in found.values() for check in made]
    assert ("wire-schema-valid", "SUCCESS") in every
    wrong = ("FAILURE", "WARNING")
    passed = sum(all(check["status"] not in wrong for check in made) for made in found.values())
    print(f"conformance: {version}: {passed} of {len(found)} scenarios pass whole", flush=True)
    equal(list(directory.iterdir()), [results], "no palace: nothing was written")


@test_with(version=SCENARIOS)
async def each_entry_has_its_reason_and_what_is_not_listed_fails(directory, version):
    lines = (HERE / f"conformance-{version}.yml").read_text().splitlines()
    lines = lines[lines.index("server:") + 1 :]
    reasons, entries = lines[0::2], lines[1::2]
    assert all(line.startswith("  # demands ") for line in reasons), reasons
    assert all(re.fullmatch(r"  - [\w-]+:[\w-]+", line) for line in entries), entries
    # Without the first entry, and with one that passes, it has to say so.
    expected = directory / "expected.yml"
    expected.write_text("\n".join(["server:", *entries[1:], "  - tools-list:tools-list"]) + "\n")
    with over_http(directory, "--no-token") as (url, _):
        code, said = conformance(url, version, str(directory / "results"), expected)
    equal(code, 1)
    assert entries[0].removeprefix("  - ").split(":")[1] in said and "tale" in said, said[-3000:]


main("conformance")
