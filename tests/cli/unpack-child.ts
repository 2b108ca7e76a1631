/** Unpacks a library of one file of 1 MB into the home given as argument, and prints what became of it. */
import { systemClock } from "#actors/runtime/clock";
import { unpack } from "#actors/supervisor/home/unpack";

const [home = "", source = ""] = process.argv.slice(2);
const file = Bun.file(source);
const sha256 = new Bun.CryptoHasher("sha256").update(await file.bytes()).digest("hex");
const library = { hash: "feed", files: [{ name: "libbig.so", bytes: file.size, sha256, source }] };
try {
  await unpack(library, { home, ...systemClock });
  console.log(JSON.stringify({ done: true }));
} catch (error) {
  const { kind, message, remedy } = error as { kind: string; message: string; remedy: string };
  console.log(JSON.stringify({ kind, message: message.replaceAll(home, "HOME"), remedy }));
}
