// Plain Node, because the bootstrap runs before Bun is there.
import { existsSync, linkSync, readFileSync, renameSync, unlinkSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** Longer than a whole build on a slow machine and network; after it something is wrong and a person should look. */
const WAIT_LIMIT_MS = 20 * 60_000;
const POLL_MS = 200;

/**
 * Runs `work` while holding a lock file that names this process. Waits for a living holder, takes over from a dead one.
 * @template T
 * @param {string} path
 * @param {() => T | Promise<T>} work
 * @param {(holder: number) => void} onWait called once, with the process that holds the lock
 * @returns {Promise<T>}
 */
export async function locked(path, work, onWait) {
  const deadline = Date.now() + WAIT_LIMIT_MS;
  for (let told = false; !tryTake(path); ) {
    const holder = holderOf(path);
    if (holder !== undefined && !isAlive(holder)) {
      takeAway(path, holder);
      continue;
    }
    if (Date.now() > deadline) {
      throw new Error(
        `${path} has been held by process ${Number.parseInt(holder, 10)} for too long; end that process or delete the file`,
      );
    }
    if (!told && holder !== undefined) onWait(Number.parseInt(holder, 10));
    told ||= holder !== undefined;
    await sleep(POLL_MS);
  }
  try {
    return await work();
  } finally {
    unlinkSync(path);
  }
}

function tryTake(path) {
  // Linking a complete file is atomic: nobody ever reads a lock without its holder's number.
  const own = `${path}.${process.pid}`;
  writeFileSync(own, identityOf(process.pid));
  try {
    linkSync(own, path);
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
    return false;
  } finally {
    unlinkSync(own);
  }
}

function holderOf(path) {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** A process's number and, on Linux, when it began: numbers come back, in containers soon. */
function identityOf(pid) {
  const stat = `/proc/${pid}/stat`;
  if (process.platform !== "linux" || !existsSync(stat)) return `${pid}`;
  // The name in brackets may hold spaces; the start is the 20th field after it (proc(5)).
  return `${pid} ${readFileSync(stat, "utf8").split(") ").at(-1).split(" ")[19]}`;
}

function isAlive(holder) {
  const pid = Number.parseInt(holder, 10);
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (error.code !== "EPERM") return false;
  }
  return identityOf(pid) === holder;
}

/** Removes a dead holder's lock; if a living process took it over in between, its lock is put back. */
function takeAway(path, dead) {
  const aside = `${path}.${process.pid}.dead`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (error.code === "ENOENT") return;
    throw error;
  }
  if (holderOf(aside) !== dead) {
    try {
      linkSync(aside, path);
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
  }
  unlinkSync(aside);
}
