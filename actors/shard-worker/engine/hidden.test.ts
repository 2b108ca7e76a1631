import { expect, test } from "bun:test";
import { BODY_FRAME_BYTES_MAX } from "#actors/runtime/transport/framing";
import { hiddenRowsMax } from "./hidden.ts";

test.each([576, 4096, 8192, 16_384, 53_248])(
  "as many rows of %d values as are taken at once fit a frame in float32, beside a pass",
  (width) => {
    const bytes = (rows: number) => rows * width * 4;
    const rows = hiddenRowsMax(width);
    expect([
      bytes(rows) + 64 * 1024 < BODY_FRAME_BYTES_MAX,
      bytes(rows + 1) > BODY_FRAME_BYTES_MAX - 2 * 1024 * 1024,
    ]).toEqual([true, true]);
  },
);
