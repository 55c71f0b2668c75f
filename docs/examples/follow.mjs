// Create a pod and follow what becomes of all pods, from Node 18 or newer.
//
//   npm ci
//   node follow.mjs "$(cat .pinacle/redis-url)" abc debian:12-slim [LAST_ID]
//
// LAST_ID is the last id that was printed before: who was away goes on after it. Ends when the pod is
// deleted.
import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { createClient, ErrorReply } from "@redis/client";

const STREAM = "pinacle:events";
const BEGINNING = "0-0";

/** Do what may be done twice, again and again while Redis is away or starts; throws what it refuses. */
async function persistently(work) {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (error instanceof ErrorReply && !error.message.startsWith("LOADING")) throw error;
      await setTimeout(200);
    }
  }
}

/** Send a task to a queue as Celery does (its protocol 2); the same id again is the same task. */
async function send(redis, task, args, { id = randomUUID(), queue = "pods" } = {}) {
  const embed = { callbacks: null, errbacks: null, chain: null, chord: null };
  const message = {
    body: Buffer.from(JSON.stringify([args, {}, embed])).toString("base64"),
    "content-encoding": "utf-8",
    "content-type": "application/json",
    headers: { lang: "js", task, id, root_id: id, parent_id: null, group: null },
    properties: {
      correlation_id: id,
      body_encoding: "base64",
      delivery_mode: 2,
      delivery_tag: randomUUID(),
      delivery_info: { exchange: "", routing_key: queue },
    },
  };
  await persistently(() => redis.lPush(queue, JSON.stringify(message)));
  return id;
}

/**
 * Wait for what a task answers; throws what the worker refused.
 * @returns {Promise<import("./pinacle.d.ts").Pod>}
 */
async function result(redis, id, timeoutMs = 60_000) {
  for (const end = Date.now() + timeoutMs; Date.now() < end; await setTimeout(50)) {
    const { status, result: answer } = JSON.parse(
      (await persistently(() => redis.get(`celery-task-meta-${id}`))) ?? "{}",
    );
    if (status === "SUCCESS") return answer;
    if (status === "FAILURE") throw new Error(`${answer.exc_type}: ${answer.exc_message[0]}`);
  }
  throw new Error(`task ${id} has not answered yet; send it again with the same id`);
}

/**
 * Yield id and fields of each change of phase since `lastId`, and wait for more; goes on when Redis was away.
 * @returns {AsyncGenerator<[string, import("./pinacle.d.ts").Change]>}
 */
async function* follow(redis, lastId) {
  for (;;) {
    const [read] =
      (await persistently(() => redis.xRead({ key: STREAM, id: lastId }, { COUNT: 100, BLOCK: 5000 }))) ?? [];
    const last = read && (await persistently(() => redis.xRange(STREAM, lastId, lastId)));
    if (lastId !== BEGINNING && last?.length === 0) {
      console.error("changes were missed: ask pods.list where every pod stands");
    }
    for (const { id, message } of read?.messages ?? []) yield [(lastId = id), message];
  }
}

const [url, pod, image, since] = process.argv.slice(2);
const redis = await createClient({ url }).on("error", console.error).connect();
// The newest id before the task is sent, so that nothing is missed.
const start = since ?? (await redis.xRevRange(STREAM, "+", "-", { COUNT: 1 }))[0]?.id ?? BEGINNING;
const answer = await result(redis, await send(redis, "pods.create", [pod, { image }]));
// An answer with the phase `failed` is no success: `last_error` says why.
console.log(`${pod} is ${answer.phase}`, answer.last_error ?? "");
for await (const [id, change] of follow(redis, start)) {
  console.log(id, change.pod_id, change.phase, change.reason);
  if (change.pod_id === pod && change.phase === "deleted") break;
}
await redis.close();
