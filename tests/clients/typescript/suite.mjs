// The TypeScript SDKs: version 2 in each of its modes of negotiation, and version 1.

import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Client as ClientV2 } from "@modelcontextprotocol/client";
import { StdioClientTransport as TransportV2 } from "@modelcontextprotocol/client/stdio";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/stdio.js";
import { ResourceUpdatedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { commits, Heard, main, PALACE, soon, test } from "./harness.mjs";
import { callEveryTool } from "./tools.mjs";

const NEWEST = "2026-07-28";
// The modes, and the version of the protocol that each must end up with. Version 1 of the SDK does not tell.
const CLIENTS = {
  "v1": {},
  "v2 legacy": { mode: "legacy", version: "2025-11-25" },
  "v2 auto": { mode: "auto", version: NEWEST },
  "v2 pin": { mode: { pin: NEWEST }, version: NEWEST },
};
const MODERN = ["v2 auto", "v2 pin"];
const DOCUMENT = "palace://document/shared";
const GRAPH = "memory://knowledge-graph";

/** A server and the SDK's client of it, which calls itself `name`. */
class Session {
  static async start(palace, kind, name = "tests") {
    const session = new Session();
    const { mode } = CLIENTS[kind];
    const [Client, Transport] = mode ? [ClientV2, TransportV2] : [ClientV1, TransportV1];
    const serve = ["serve", "--tools", "palace,memory,documents", "--palace", palace];
    // Each process that the SDK starts, also one that it only asks which version it speaks, leaves a line.
    session.spawns = `${palace}.spawns`;
    const script = 'echo $$ >>"$0"; exec "$@"';
    const args = ["-c", script, session.spawns, PALACE, ...serve];
    session.transport = new Transport({ command: "/bin/sh", args });
    const options = mode ? { versionNegotiation: { mode } } : {};
    session.client = new Client({ name, version: "1.0" }, options);
    await session.client.connect(session.transport);
    session.process = session.transport._process;
    return session;
  }

  /** The structured result. The SDK has compared it with the schema, which it knows once it has listed the tools. */
  async call(name, args = {}) {
    const result = await this.client.callTool({ name, arguments: args });
    assert(!result.isError, `${name} ${JSON.stringify(args)}: ${result.content[0]?.text}`);
    return result.structuredContent;
  }

  /** How many servers there have been. */
  spawned() {
    return readFileSync(this.spawns, "utf8").trim().split("\n").length;
  }

  async read(uri) {
    const { contents } = await this.client.readResource({ uri });
    return JSON.parse(contents[0].text);
  }

  /** Ends the server by the end of its input. */
  async end() {
    await this.client.close();
    assert.deepEqual([this.process.exitCode, this.process.signalCode], [0, null]);
  }
}

for (const [kind, { mode, version }] of Object.entries(CLIENTS)) {
  test(`every_tool_answers_as_its_schema_says [${kind}]`, async (directory) => {
    const palace = join(directory, "palace");
    const session = await Session.start(palace, kind, "typescript");
    const { tools } = await session.client.listTools();
    assert.equal(tools.length, 29 + 9 + 11);
    for (const tool of tools) assert.equal(tool.outputSchema?.type, "object", tool.name);
    const called = await callEveryTool((name, args) => session.call(name, args));
    assert.deepEqual(called, new Set(tools.map((tool) => tool.name)));
    if (mode) assert.equal(session.client.getNegotiatedProtocolVersion(), version);
    await session.end();
    assert.deepEqual(new Set(commits(palace).map((commit) => commit.by)), new Set(["typescript/1.0"]));
  });

  test(`the_schema_would_notice [${kind}]`, async (directory) => {
    const session = await Session.start(join(directory, "palace"), kind);
    await session.client.listTools();
    const received = session.transport.onmessage;
    session.transport.onmessage = (message, extra) => {
      if (message.result?.structuredContent) message.result.structuredContent.total_drawers = "many";
      received(message, extra);
    };
    await assert.rejects(session.call("palace_status"), /schema/i);
    session.transport.onmessage = received;
    await session.end();
  });

  test(`resources_are_listed_page_by_page_and_read [${kind}]`, async (directory) => {
    const session = await Session.start(join(directory, "palace"), kind);
    const keys = Array.from({ length: 120 }, (_, n) => `notes/${1000 + n} ü`);
    const put = (key) => session.call("document_put", { key, value: { key } });
    await Promise.all(keys.map(put));
    const pages = [];
    let cursor;
    // Version 2 reads all pages on its own.
    do {
      const page = await session.client.listResources(cursor ? { cursor } : undefined);
      pages.push(page.resources.map((resource) => resource.uri));
      cursor = page.nextCursor;
    } while (cursor);
    const escaped = keys.map((key) => `palace://document/${encodeURIComponent(key)}`);
    assert.deepEqual(pages.flat(), [GRAPH, "palace://status", ...escaped]);
    if (!mode) assert.equal(pages.length, 2);
    const { resourceTemplates } = await session.client.listResourceTemplates();
    const templates = resourceTemplates.map((template) => template.uriTemplate).sort();
    assert.deepEqual(templates, ["palace://document/{key}", "palace://wing/{wing}"]);
    assert.deepEqual((await session.read(escaped[7])).value, { key: keys[7] });
    assert.deepEqual(await session.read(GRAPH), { entities: [], relations: [] });
    // The code of either era is -32602 to version 2, which knows the error by the URI in it.
    const code = mode ? -32602 : -32002;
    await assert.rejects(session.read("palace://document/none"), { code });
    await session.end();
  });

  test(`errors_say_what_to_do [${kind}]`, async (directory) => {
    const session = await Session.start(join(directory, "palace"), kind);
    await session.client.listTools();
    const wrong = [
      ["palace_search", { query: "x", Limit: 1 }, "did you mean limit?"],
      ["document_get", { key: "none" }, "none"],
      ["create_entities", { entities: [{ name: "x" }] }, "entityType"],
    ];
    for (const [name, args, word] of wrong) {
      const result = await session.client.callTool({ name, arguments: args });
      assert.equal(result.isError, true, name);
      assert(result.content[0].text.includes(word), result.content[0].text);
    }
    await assert.rejects(session.client.callTool({ name: "palace_none", arguments: {} }), { code: -32602 });
    await session.end();
  });

  test(`a_subscriber_is_told_of_another_process [${kind}]`, async (directory) => {
    const palace = join(directory, "palace");
    const writer = await Session.start(palace, kind === "v1" ? "v2 auto" : "v1", "writer");
    const reader = await Session.start(palace, kind, "reader");
    const heard = new Heard();
    const updated = mode ? "notifications/resources/updated" : ResourceUpdatedNotificationSchema;
    reader.client.setNotificationHandler(updated, ({ params }) => heard.tell(params.uri));
    let subscription;
    if (MODERN.includes(kind)) {
      const resourceSubscriptions = [DOCUMENT, GRAPH];
      subscription = await reader.client.listen({ resourceSubscriptions });
      assert.deepEqual(subscription.honoredFilter.resourceSubscriptions, resourceSubscriptions);
      // Each is announced once at the start: what was read before may be out of date.
      await heard.all([DOCUMENT, GRAPH]);
    } else {
      for (const uri of [DOCUMENT, GRAPH]) await reader.client.subscribeResource({ uri });
    }
    for (let n = 0; n < 3; n++) {
      await writer.call("document_put", { key: "shared", value: { n } });
      await writer.call("document_put", { key: `nobody asked for ${n}`, value: {} });
      await writer.call("create_entities", {
        entities: [{ name: `e${n}`, entityType: "t", observations: [] }],
      });
      await soon(heard.all([DOCUMENT, GRAPH]), "notices");
      assert.deepEqual((await reader.read(DOCUMENT)).value, { n });
      assert.equal((await reader.read(GRAPH)).entities.length, n + 1);
    }
    if (subscription) {
      await subscription.close();
    } else {
      for (const uri of [DOCUMENT, GRAPH]) await reader.client.unsubscribeResource({ uri });
    }
    await reader.end();
    await writer.end();
  });

  test(`nothing_is_left_by_servers_that_never_wrote [${kind}]`, async (directory) => {
    const palace = join(directory, "palace");
    for (let n = 0; n < 10; n++) {
      const session = await Session.start(palace, kind);
      // Every other one is killed before its first request, perhaps before it runs at all.
      if (n % 2) {
        await session.client.listTools();
        // A client that looks for the newest version asks a server of its own, and ends that by a signal.
        assert.equal(session.spawned(), MODERN.includes(kind) ? 2 : 1);
      }
      const exited = new Promise((resolve) => session.process.once("exit", resolve));
      session.process.kill("SIGKILL");
      await exited;
      rmSync(session.spawns, { force: true });
      assert.deepEqual(readdirSync(directory), []);
    }
  });
}

await main("ts");
