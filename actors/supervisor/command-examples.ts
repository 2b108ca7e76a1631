/** What the help of commands ends with. */

export const FIRST_STEPS = `
Examples:
  exo run smollm2                                chat in the terminal
  exo run smollm2 "What is the capital of France?"
  echo text | exo run smollm2 "summarise"
  exo serve --model smollm2                      OpenAI's API on port 52415`;

export const JOIN_EXAMPLES = `
Examples:
  exo join K7QM-2XTB                             the machine that invites is found by itself
  exo join K7QM-2XTB studio                      of several, this one
  exo join K7QM-2XTB 192.168.1.7:40123           one that does not show itself here`;

export const BENCH_EXAMPLES = `
Examples:
  exo bench smollm2 -p 512,4096 -n 128 -c 1,4 -r 5 --compare last
  exo bench config.yaml --dry-run
  exo bench compare bench/before.json bench/last.json
  exo bench history                              what was measured here before
  exo bench share bench/last.json                a copy without addresses and paths
  exo bench schema config                        the format of config.yaml, for editors (or: report)
Exit code 9: a limit of the config's compare.fail_if was broken; 1: no request of a cell was answered.`;

export const KEY_EXAMPLES = `
Examples:
  exo key create laptop                          may ask models and list them; the key is shown once
  exo key create --name dashboard --scope cluster.read
  exo key revoke laptop`;

export const RUN_EXAMPLES = `
A model is an alias (smollm2), a hub repository (owner/name, owner/name:file.gguf), a folder (./folder) or a file (./model.gguf).`;
