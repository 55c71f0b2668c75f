// What a program writes with the types. A line that must not compile is below its mark: if it compiles, that is an error.
import type {
  Change,
  Execution,
  Pass,
  Pod,
  PodSpec,
  Pods,
  Progress,
  Pull,
  Renamed,
  Stats,
} from "../../../docs/examples/pinacle";

const spec: PodSpec = { image: "debian:12-slim", env: { A: "1" }, ports: [{ container: 80 }] };
// @ts-expect-error an image is required
const without: PodSpec = { tier: "dev.small" };
// @ts-expect-error a port is a number
const port: PodSpec = { image: "a", ports: [{ container: "80" }] };

export function shown(pod: Pod): string {
  const pull: Pull | null | undefined = pod.progress;
  if (pull) return `${(100 * pull.done_bytes) / pull.total_bytes} %`;
  // @ts-expect-error there is no such phase
  if (pod.phase === "broken") return "";
  // @ts-expect-error it may be null
  const error: string = pod.last_error;
  return pod.phase === "failed" ? (pod.error?.kind ?? "") : pod.ports.map((port) => port.host).join();
}

export function told(change: Change | Progress): string {
  // All fields of a stream are strings.
  // @ts-expect-error
  const generation: number = change.generation;
  return "phase" in change ? change.phase : change.done_bytes;
}

export function rest(pods: Pods, stats: Stats, pass: Pass, moved: Renamed, ran: Execution): number[] {
  const used = stats.pods.map((pod) => pod.cpu_seconds + (pod.memory_bytes ?? 0));
  const left = pods.recovering?.left ?? 0;
  const elsewhere: string[] = Object.values(pass.sent_to);
  return [...used, left, elsewhere.length, moved.pods, ran.exit_code ?? -1, stats.unmeasured.length];
}

export const all = { spec, without, port };
