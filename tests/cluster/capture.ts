/**
 * Looks at every packet of the network that it runs in, and says after each which of the words it has seen so far, as JSON:
 * `bun capture.ts WORD…`. Linux, with the right to raw sockets (packet(7)), which the owner of a namespace has.
 */
import { dlopen, FFIType } from "bun:ffi";

const [AF_PACKET, SOCK_RAW, ETH_P_ALL] = [17, 3, 3];
const PACKET_BYTES = 65_536;

const libc = dlopen("libc.so.6", {
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  recv: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i64 },
});

const words = process.argv.slice(2);
const seen = new Set<string>();
// The protocol is in network order.
const socket = libc.symbols.socket(AF_PACKET, SOCK_RAW, ETH_P_ALL << 8);
if (socket < 0) throw new Error("no raw socket");
const packet = Buffer.alloc(PACKET_BYTES);
let [packets, bytes] = [0, 0];
process.stdout.write("ready\n");
for (;;) {
  const length = Number(libc.symbols.recv(socket, packet, PACKET_BYTES, 0));
  if (length <= 0) throw new Error("the capture broke off");
  packets += 1;
  bytes += length;
  for (const word of words) if (packet.subarray(0, length).includes(word)) seen.add(word);
  process.stdout.write(`${JSON.stringify({ packets, bytes, seen: [...seen].sort() })}\n`);
}
