/** Mixture of experts: a router picks k feed-forward networks per token (https://arxiv.org/abs/2101.03961). */
import type { MxArray } from "#ffi/array";
import type { ExpertLayer, Layer, Weights } from "#ffi/weights";

/** For hidden state [B, L, hidden]: the chosen experts and their weights, both [B, L, k], in no order. */
export type Router = (x: MxArray) => { readonly experts: MxArray; readonly weights: MxArray };

/** From so many (token, expert) pairs on, sorting them by expert pays: each expert's weights are then read once. */
const SORTED_PAIRS_MIN = 64;

/** Routed SwiGLU experts, summed by the router's weights. `w` holds `switch_mlp` with its three stacked projections. */
export function mixture(w: Weights, route: Router): Layer {
  const stack = w.at("switch_mlp");
  const feedForward = expertMlp([
    stack.experts("gate_proj", "column"),
    stack.experts("up_proj", "column"),
    stack.experts("down_proj", "row"),
  ]);
  return (x) => {
    const { experts, weights } = route(x);
    const answers = feedForward(x, experts);
    return answers.mul(weights.astype(x.dtype).expandDims(-1)).sum(-2);
  };
}

/** The k largest of the last axis: their indices, unordered. */
export function largest(scores: MxArray, k: number): MxArray {
  const count = scores.shape.at(-1) ?? 0;
  return scores.argpartition(count - k, -1).slice(-1, count - k, count);
}

type ExpertMlp = (x: MxArray, experts: MxArray) => MxArray;

/** [B, L, hidden] through each token's experts [B, L, k]: [B, L, k, hidden]. */
function expertMlp([gate, up, down]: readonly [ExpertLayer, ExpertLayer, ExpertLayer]): ExpertMlp {
  const run = (x: MxArray, experts: MxArray, sorted: boolean) =>
    down(gate(x, experts, sorted).siluMul(up(x, experts, sorted)), experts, sorted);

  return (x, experts) => {
    const [batch = 1, length = 1, k = 1] = experts.shape;
    const tokens = batch * length;
    if (tokens * k < SORTED_PAIRS_MIN)
      return run(x.expandDims(-2).expandDims(-2), experts, false).squeeze(-2);

    const hidden = x.shape.at(-1) ?? 0;
    const flat = experts.reshape(tokens * k);
    const order = flat.argsort(0);
    const tokenOfPair = x.mlx
      .arange(0, tokens, "int32")
      .reshape(tokens, 1)
      .broadcastTo(tokens, k)
      .reshape(tokens * k);
    const pairs = x
      .reshape(tokens, hidden)
      .take(tokenOfPair.take(order, 0), 0)
      .reshape(tokens * k, 1, 1, hidden);
    const answers = run(pairs, flat.take(order, 0).reshape(tokens * k, 1), true);
    return answers
      .reshape(tokens * k, hidden)
      .take(order.argsort(0), 0)
      .reshape(batch, length, k, hidden);
  };
}
