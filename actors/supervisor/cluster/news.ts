/** What a member is told of the home's list of machines by one that knows more of it, or may. */
import type { ActorSystem } from "#actors/runtime/system";
import { type Authority, Cluster, type MemberList } from "#protocol/cluster";
import type { Address, NodeId } from "#protocol/ids";

/** As far as this node knows, with the key's word for it. */
export function tell(
  system: ActorSystem,
  node: NodeId,
  { list, authority }: { readonly list: MemberList; readonly authority: Authority },
): void {
  const news = Cluster.Forgotten({ list, authority });
  system.send(`${node}/cluster` as Address, news, system.address("cluster"));
}
