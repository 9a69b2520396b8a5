// Runs the tests of the suite one after the other and counts.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const PALACE = join(process.env.PALACE_BINARIES, "crdt-palace");
const LOG = join(process.env.PALACE_BINARIES, "crdt-log");
// What takes longer has failed. It is for machines that are busy with other things.
const DEADLINE_MS = 300_000;

const tests = [];

/** A test of a directory of its own. */
export function test(name, body) {
  tests.push({ name, body });
}

/** What `promise` gives, unless it takes too long. */
export async function soon(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited too long for ${what}`)), DEADLINE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export async function main(suite) {
  const wanted = process.argv[2] ?? "";
  let passed = 0;
  let failed = 0;
  for (const { name, body } of tests.filter((test) => test.name.includes(wanted))) {
    const directory = mkdtempSync(join(tmpdir(), "clients-"));
    const began = Date.now();
    try {
      await soon(body(directory), name);
      passed += 1;
      console.log(`${suite}: ok ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
    } catch (error) {
      failed += 1;
      console.log(`${suite}: FAILED ${name}\n`, error);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }
  console.log(`${suite}: ${passed} passed, ${failed} failed`);
  process.exit(failed || !passed ? 1 : 0);
}

/** What notices say, to wait for. */
export class Heard {
  #waiting = [];
  #told = [];

  tell(notice) {
    const next = this.#waiting.shift();
    if (next) next(notice);
    else this.#told.push(notice);
  }

  next() {
    if (this.#told.length) return Promise.resolve(this.#told.shift());
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Waits until all of these have been told, and nothing else. */
  async all(notices) {
    const missing = new Set(notices);
    while (missing.size) {
      const notice = await this.next();
      assert(notices.includes(notice), `nobody asked for ${notice}`);
      missing.delete(notice);
    }
  }
}

/** Every commit, as `crdt-log dump` tells it. */
export function commits(palace) {
  const lines = execFileSync(LOG, ["dump", "--json", palace], { encoding: "utf8" });
  return lines.split("\n").filter(Boolean).map((line) => JSON.parse(line));
}
