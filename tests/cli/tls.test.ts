import { expect, test } from "bun:test";
import { chmodSync, copyFileSync, readFileSync, statSync } from "node:fs";
import { hostname, networkInterfaces } from "node:os";
import { join } from "node:path";
import { exo, freshFolder } from "./exo.ts";
import { serving } from "./serving.ts";

/** For the network. */
const servingAll = (home: string, args: readonly string[] = []) =>
  serving(home, ["--bind", "0.0.0.0", ...args]);

const address = Object.values(networkInterfaces())
  .flat()
  .find((each) => each?.family === "IPv4" && !each.internal)?.address;

test("in the network the API speaks TLS by a certificate that stays, which clients trust and the own commands need not", async () => {
  using folder = freshFolder();
  const home = folder.path;
  const key = (await exo(["key", "create", "laptop"], { home })).out.trim();
  const path = join(home, "exo/api/certificate.pem");
  await using server = await servingAll(home);
  const ca = readFileSync(path, "utf8");
  const headers = { authorization: `Bearer ${key}` };
  const ask = async (host: string, init: object = { tls: { ca } }) =>
    await fetch(`https://${host}:${server.port}/v1/models`, { headers, ...init }).then(
      ({ status }) => status,
      (error: Error & { code?: string }) => error.code ?? error.message,
    );
  const seen = {
    url: server.url,
    trusted: [await ask("localhost"), address === undefined ? 200 : await ask(address)],
    unknown: await ask("localhost", {}),
    plain: await fetch(`http://localhost:${server.port}/healthz`).then(
      ({ status }) => status,
      () => "refused",
    ),
    command: (await exo(["ps", "--json"], { home })).code,
    modes: [
      statSync(join(home, "exo/api")).mode & 0o777,
      statSync(join(home, "exo/api/key.pem")).mode & 0o777,
    ],
    said: (await server.ended()).includes(`clients trust ${path}`),
  };
  await using again = await servingAll(home);
  expect({ ...seen, same: readFileSync(path, "utf8") === ca, again: again.url.slice(0, 8) }).toEqual({
    url: expect.stringMatching(/^https:\/\/127\.0\.0\.1:\d+$/),
    trusted: [200, 200],
    unknown: expect.stringMatching(/SELF_SIGNED|LEAF_SIGNATURE/),
    plain: "refused",
    command: 0,
    modes: [0o700, 0o600],
    said: true,
    same: true,
    again: "https://",
  });
}, 120_000);

test("plain HTTP in the network is had only by its flag, and warned of; a certificate of one's own is used", async () => {
  using folder = freshFolder();
  const home = folder.path;
  await exo(["key", "create", "laptop"], { home });
  const plain = await (async () => {
    await using server = await servingAll(home, ["--plain-http"]);
    return [server.url.slice(0, 7), await server.ended()];
  })();
  await (await servingAll(home)).ended();
  for (const name of ["certificate.pem", "key.pem"])
    copyFileSync(join(home, "exo/api", name), join(home, name));
  const own = await (async () => {
    await using server = await servingAll(home, ["--tls-cert", "certificate.pem", "--tls-key", "key.pem"]);
    return server.url.slice(0, 8);
  })();
  const refused = [
    await exo(["serve", "--bind", "0.0.0.0", "--tls-cert", "x.pem"], { home }),
    await exo(["serve", "--bind", "0.0.0.0", "--tls-cert", "x.pem", "--tls-key", "key.pem"], { home }),
  ];
  chmodSync(join(home, "exo/api/key.pem"), 0o640);
  refused.push(await exo(["serve", "--bind", "0.0.0.0"], { home }));
  expect({
    plain,
    own,
    refused: refused.map(({ code, err }) => `${code} ${err.replaceAll(home, "HOME")}`).join(""),
  }).toEqual({
    plain: [
      "http://",
      expect.stringContaining("without TLS everybody in the network can read keys, prompts and answers"),
    ],
    own: "https://",
    refused:
      "2 ✗ a certificate and its key go together\n→ give both: --tls-cert FILE --tls-key FILE\n" +
      "1 ✗ HOME/x.pem could not be read: ENOENT: no such file or directory, open 'HOME/x.pem'\n→ see --tls-cert and --tls-key, or api.tls_cert in exo.yaml\n" +
      "7 ✗ HOME/exo/api/key.pem can be read by others on this machine (mode 640)\n→ chmod 600 'HOME/exo/api/key.pem'\n",
  });
}, 120_000);

test("the certificate names this machine", async () => {
  using folder = freshFolder();
  const home = folder.path;
  await exo(["key", "create", "laptop"], { home });
  await (await servingAll(home, ["--hosts", "exo.example:8443"])).ended();
  const { X509Certificate } = await import("node:crypto");
  const { subjectAltName, ca } = new X509Certificate(readFileSync(join(home, "exo/api/certificate.pem")));
  expect([
    ["localhost", "exo.example", hostname(), "127.0.0.1"].every((name) => subjectAltName?.includes(name)),
    ca,
  ]).toEqual([true, false]);
}, 120_000);
