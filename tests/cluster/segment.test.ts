/** Three machines of one network segment, in network namespaces where this machine allows that. */
import { expect, test } from "bun:test";
import { discovering } from "./discovering.ts";
import { canMakeSegments } from "./segment.ts";

const TEST_MS_MAX = 60_000;

test.if(await canMakeSegments())(
  "all list all others within 3 seconds of the last one's start (20 machines: bun run segment)",
  async () => {
    const { allPairsMs } = await discovering(3, { restSeconds: 0 });
    expect(allPairsMs).toBeLessThan(3000);
  },
  TEST_MS_MAX,
);
