import { expect, test } from "bun:test";
import { systemClock } from "#actors/runtime/clock";
import { clusterCertificate, nodeCertificate } from "#actors/runtime/security/certificate";
import { freshIdentity } from "#actors/runtime/security/identity";
import type { ClusterId } from "#protocol/ids";
import { openNetwork } from "./open-network.ts";

test("a port that is taken and that nobody chose is replaced by a free one, and one that was chosen is not", async () => {
  const [identity, key] = [freshIdentity(), freshIdentity()];
  const clusterPem = await clusterCertificate(key, "test" as ClusterId);
  const nodePem = await nodeCertificate(identity, key, clusterPem);
  const other = Bun.listen({ hostname: "0.0.0.0", port: 0, socket: { data: () => {} } });
  const outcomes = [false, true].map((isPortChosen) => {
    const said: string[] = [];
    const network = openNetwork(
      {
        ...{ identity, boot: "0".repeat(32), clock: systemClock, port: other.port, isPortChosen },
        troubled: (why) => said.push(why),
        refused: () => {},
        crashed: () => {},
      },
      { clusterPem, nodePem, minimumMinor: 0, isMember: () => false },
    );
    const ports = network.endpoints.map(({ port }) => port);
    void network.close();
    return { isElsewhere: ports.length === 1 && ports[0] !== other.port, ports: ports.length, said };
  });
  other.stop(true);
  expect(outcomes).toEqual([
    {
      isElsewhere: true,
      ports: 1,
      said: [
        expect.stringMatching(
          /^port \d+ is taken by another program.*reach this one by \d+ until it ends; cluster\.port/,
        ),
      ],
    },
    { isElsewhere: false, ports: 0, said: [expect.stringContaining("other machines cannot reach this one")] },
  ]);
});
