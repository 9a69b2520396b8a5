// Every tool once, with what the calls before have answered.

import assert from "node:assert/strict";

/**
 * `call` takes the name and the arguments of a tool, and gives the structured result of a call that succeeded.
 * Gives the names of the tools that were called.
 */
export async function callEveryTool(call) {
  const called = new Set();
  const tool = async (name, args = {}) => {
    called.add(name);
    return call(name, args);
  };
  const palace = (name, args) => tool(`palace_${name}`, args);

  const place = { wing: "atlas", room: "auth" };
  const text = "We sign tokens with Ed25519.";
  const { drawer_id, durable } = await palace("add_drawer", { ...place, content: text });
  assert.equal(durable, true);
  assert.equal((await palace("get_drawer", { drawer_id })).content, text);
  const updated = await palace("update_drawer", { drawer_id, room: "crypto" });
  assert.equal(updated.room, "crypto");
  const items = [{ ...place, content: "Deploy on Mondays." }];
  const kept = await palace("checkpoint", { items });
  assert.equal(kept.items[0].status, "filed");
  const { drawer_id: other, etag: base } = kept.items[0];
  for (const day of ["Tuesdays", "Fridays"]) {
    await palace("update_drawer", { drawer_id: other, content: `Deploy on ${day}.`, base });
  }
  const [open] = (await palace("conflicts", { drawer_id: other })).conflicts;
  const third = { conflict: open.number, text: "Deploy daily.", etag: open.etag };
  assert.equal((await palace("settle", { drawer_id: other, ...third })).durable, true);
  assert.equal((await palace("get_drawer", { drawer_id: other })).content, "Deploy daily.");
  const ids = { drawer_ids: [drawer_id, kept.items[0].drawer_id] };
  assert.equal((await palace("get_drawers", ids)).count, 2);
  assert.equal((await palace("list_drawers", { wing: "atlas" })).total, 2);
  assert.deepEqual((await palace("list_wings")).wings, { atlas: 2 });
  assert.deepEqual((await palace("list_rooms")).rooms, { auth: 1, crypto: 1 });
  assert.deepEqual((await palace("get_taxonomy")).taxonomy, { atlas: { auth: 1, crypto: 1 } });
  const found = await palace("search", { query: "How do we sign tokens?" });
  assert.equal(found.results[0].drawer_id, drawer_id);
  const near = await palace("check_duplicate", { content: "we sign tokens, with ed25519" });
  assert.equal(near.is_duplicate, true);
  assert.equal((await palace("status")).total_drawers, 2);

  const ada = { subject: "Ada", predicate: "works_at" };
  await palace("kg_add", { ...ada, object: "Acme", valid_from: "2024-01-01" });
  await palace("kg_supersede", { ...ada, old_object: "Acme", new_object: "Bolt", at: "2026-03-01" });
  const facts = await palace("kg_query", { entity: "ada", as_of: "2025-06-01" });
  assert.deepEqual(facts.facts.map((fact) => fact.object), ["Acme"]);
  const ended = await palace("kg_invalidate", { ...ada, object: "Bolt", ended: "2026-09-30" });
  assert.equal((await palace("kg_timeline", { entity: "Ada" })).count, 2);
  assert.equal((await palace("kg_stats")).expired_facts, 2);
  assert.equal((await palace("kg_delete", { triple_id: ended.triple_id })).noop, false);
  assert.equal((await palace("kg_stats")).triples, 1);

  await palace("diary_write", { agent_name: "Scout", entry: "Deploys moved." });
  const diary = await palace("diary_read", { agent_name: "Scout" });
  assert.equal(diary.entries[0].content, "Deploys moved.");
  const own = await palace("changes_since", { since: "2020-01-01", include_own: true });
  assert.equal(own.changes.length, own.count);
  await palace("delete_drawer", { drawer_id });
  assert.deepEqual((await palace("delete_drawers", ids)).not_found, [drawer_id]);
  assert.equal((await palace("undelete_drawer", { drawer_id })).noop, false);
  assert.equal((await palace("move_drawers", { wing: "Atlas", to_wing: "bosun" })).moved, 1);
  assert.equal((await palace("rename_place", { wing: "BOSUN", to: "Carol" })).to, "Carol");

  const ann = { name: "Ann", entityType: "person", observations: ["one"] };
  const bob = { name: "Bob", entityType: "person", observations: [] };
  const knows = { from: "Ann", to: "Bob", relationType: "knows" };
  assert.deepEqual(await tool("create_entities", { entities: [ann, bob] }), { entities: [ann, bob] });
  assert.deepEqual(await tool("create_relations", { relations: [knows] }), { relations: [knows] });
  await tool("add_observations", { observations: [{ entityName: "Ann", contents: ["two"] }] });
  assert.equal((await tool("search_nodes", { query: "TWO" })).entities[0].name, "Ann");
  assert.deepEqual((await tool("open_nodes", { names: ["Bob"] })).entities, [bob]);
  await tool("delete_observations", { deletions: [{ entityName: "Ann", observations: ["one"] }] });
  await tool("delete_relations", { relations: [knows] });
  await tool("delete_entities", { entityNames: ["Bob"] });
  const left = { entities: [{ ...ann, observations: ["two"] }], relations: [] };
  assert.deepEqual(await tool("read_graph"), left);

  const key = "notes/plan";
  const put = await tool("document_put", { key, value: { n: 5 }, if_match: "absent" });
  await tool("document_patch", { key, patch: { title: "sunflowers" }, base: put.etag });
  assert.equal((await tool("document_increment", { key, path: "/visits" })).count, 1);
  const shown = await tool("document_get", { key });
  assert.deepEqual(shown.value, { n: 5, title: "sunflowers", visits: 1 });
  for (const n of [6, 7]) await tool("document_patch", { key, patch: { n }, base: put.etag });
  const [field] = (await tool("document_conflicts", { key })).conflicts;
  const values = [field.shown, ...field.others].map((value) => value.value);
  assert.deepEqual(values.sort(), [6, 7]);
  const choice = { conflict: field.number, take: field.others[0].etag, etag: field.etag };
  await tool("document_settle", { key, ...choice });
  assert.deepEqual((await tool("document_conflicts")).conflicts, []);
  const keys = (result) => result.documents.map((document) => document.key);
  assert.deepEqual(keys(await tool("document_list")), [key]);
  assert.deepEqual(keys(await tool("document_search", { query: "sunflower*" })), [key]);
  await tool("document_restore", { key, version: put.etag });
  assert.deepEqual((await tool("document_get", { key })).value, { n: 5 });
  await tool("document_delete", { key });
  assert.equal((await tool("document_history", { key })).versions[0].kind, "delete");
  return called;
}
