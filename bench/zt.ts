import { raftStorm } from "../tests/sim/raft-storm.ts";
const n = Number(process.argv[2] ?? 20), size = Number(process.argv[3] ?? 5), from = Number(process.argv[4] ?? 1);
const t = performance.now(); let v = 0, did = 0;
for (let s = from; s < from + n; s++) { const r = await raftStorm(s, size); v += r.virtualMs; did += r.did; if (r.violations.length || r.did < 20) console.log(s, r.violations.slice(0, 3), r.did); }
console.log("x real", (v / (performance.now() - t)).toFixed(0), "did", did, "cluster-s", v / 1000, "per seed ms", ((performance.now() - t) / n).toFixed(0));
