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
const PULLS = "pinacle:progress";
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

/** Return the id after which everything in a stream is still to come. */
async function newest(redis, stream) {
  return (await persistently(() => redis.xRevRange(stream, "+", "-", { COUNT: 1 })))[0]?.id ?? BEGINNING;
}

/**
 * Yield id and change for each change of phase since `lastId`, and for each pull from now on no id and how far
 * it has come; goes on when Redis was away.
 * @returns {AsyncGenerator<[string, import("./pinacle.d.ts").Change] | [null, import("./pinacle.d.ts").Progress]>}
 */
async function* follow(redis, lastId) {
  const places = { [PULLS]: await newest(redis, PULLS), [STREAM]: lastId };
  for (;;) {
    const wanted = Object.entries(places).map(([key, id]) => ({ key, id }));
    const read = (await persistently(() => redis.xRead(wanted, { COUNT: 100, BLOCK: 5000 }))) ?? [];
    for (const { name, messages } of read) {
      const id = places[STREAM];
      const last = name === STREAM && (await persistently(() => redis.xRange(STREAM, id, id)));
      if (id !== BEGINNING && last?.length === 0) {
        console.error("changes were missed: ask pods.list where every pod stands");
      }
      for (const { id, message } of messages) {
        places[name] = id;
        yield [name === STREAM ? id : null, message];
      }
    }
  }
}

const [url, pod, image, since] = process.argv.slice(2);
const redis = await createClient({ url }).on("error", console.error).connect();
// The newest id before the task is sent, so that nothing is missed.
const start = since ?? (await newest(redis, STREAM));
const answer = await result(redis, await send(redis, "pods.create", [pod, { image }]));
// An answer with the phase `failed` is no success: `last_error` says why.
console.log(`${pod} is ${answer.phase}`, answer.last_error ?? "");
for await (const [id, change] of follow(redis, start)) {
  if (id === null) {
    const { done_bytes, total_bytes, done_layers, total_layers } = change;
    console.log(`pulling for ${change.pod_id}: ${done_bytes} of ${total_bytes} bytes, ${done_layers} of ${total_layers} layers`);
    continue;
  }
  console.log(id, change.pod_id, change.phase, change.reason);
  if (change.pod_id === pod && change.phase === "deleted") break;
}
await redis.close();
