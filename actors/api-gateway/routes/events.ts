/** What happens in this home: a snapshot, and the changes after it as server-sent events. */
import { streamHeaders } from "../answer.ts";
import { eventStream } from "../event-stream.ts";
import type { Feed } from "../feed/feed.ts";
import type { Sent } from "../feed/subscriber.ts";
import type { GatewayPorts } from "../ports.ts";
import type { Route } from "./route.ts";

/** How long a reader that was cut off waits before it comes back. */
const RETRY_MS = 1000;

export const eventRoutes = ({ after }: GatewayPorts, feed: Feed): readonly Route[] => [
  { method: "GET", path: "/exo/v1/state", access: "cluster.read", handle: () => feed.snapshot() },
  {
    method: "GET",
    path: "/exo/v1/events",
    access: "cluster.read",
    async handle({ headers, visit }) {
      const subscriber = await feed.subscribe(headers.get("last-event-id"));
      const leave = () => feed.leave(subscriber);
      visit.signal.addEventListener("abort", () =>
        subscriber.close("closed", { reason: "the key was revoked" }),
      );
      const end = visit.streams();
      const over = () => {
        leave();
        end();
      };
      const stream = eventStream(subscriber.events(), { after, cancelled: leave, over, worded });
      return new Response(stream, { headers: streamHeaders });
    },
  },
];

/** https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation */
const worded = ({ id, type, data }: Sent): string => {
  const place = id === undefined ? "" : `id: ${id}\n`;
  const retry = type === "snapshot" ? `retry: ${RETRY_MS}\n` : "";
  return `${retry}${place}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
};
