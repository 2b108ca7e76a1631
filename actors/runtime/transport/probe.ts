/** Whether a machine is there at all, whatever its processes do: its kernel accepts or refuses a connection. */
import type { Endpoint } from "./network.ts";

/** False when nothing is heard until the caller has stopped waiting: the system's own limit is minutes. */
export async function kernelAnswers({ host, port }: Endpoint): Promise<boolean> {
  try {
    const socket = await Bun.connect({ hostname: host, port, socket: { data: () => {} } });
    socket.terminate();
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ECONNREFUSED";
  }
}
