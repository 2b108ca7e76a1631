/*
 * A verbs provider without a device: each queue pair has a file of shared memory in the folder EXO_FAKE_VERBS, into which its peer
 * writes. EXO_FAKE_DEVICES lists devices and the cables that they are on, `rdma_en2=1 rdma_en3=2`; two queue pairs connect over one
 * cable alone, so that a wrong device in a matrix is found.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <list>
#include <sstream>
#include <string>
#include <vector>

#include "infiniband/verbs.h"

struct ibv_device {
  std::string name;
  uint8_t cable;
};

namespace {

/** jaccl posts 32 sends at most, of half a MiB each; a power of two. */
constexpr size_t ROOM = size_t{32} << 20;

/** What one side has written and the other has not read: lengths and bytes, one after the other. */
struct Mailbox {
  std::atomic<uint64_t> written;
  std::atomic<uint64_t> read;
  char bytes[ROOM];

  bool put(const void* from, uint32_t length) {
    const uint64_t at = written.load(std::memory_order_relaxed);
    if (at + sizeof length + length - read.load(std::memory_order_acquire) > ROOM) return false;
    copyIn(at, &length, sizeof length);
    copyIn(at + sizeof length, from, length);
    written.store(at + sizeof length + length, std::memory_order_release);
    return true;
  }

  /** The length of the next message; false where there is none. */
  bool take(void* to, uint32_t room, uint32_t& length) {
    const uint64_t at = read.load(std::memory_order_relaxed);
    if (written.load(std::memory_order_acquire) == at) return false;
    copyOut(at, &length, sizeof length);
    copyOut(at + sizeof length, to, std::min(room, length));
    read.store(at + sizeof length + length, std::memory_order_release);
    return true;
  }

 private:
  void copyIn(uint64_t at, const void* from, size_t count) {
    const size_t start = at % ROOM, first = std::min(count, ROOM - start);
    std::memcpy(bytes + start, from, first);
    std::memcpy(bytes, static_cast<const char*>(from) + first, count - first);
  }
  void copyOut(uint64_t at, void* to, size_t count) const {
    const size_t start = at % ROOM, first = std::min(count, ROOM - start);
    std::memcpy(to, bytes + start, first);
    std::memcpy(static_cast<char*>(to) + first, bytes, count - first);
  }
};

struct Posted {
  uint64_t id;
  ibv_sge part;
};

struct Queue : ibv_cq {
  std::list<struct Pair*> pairs;
  std::deque<ibv_wc> done;
};

struct Pair : ibv_qp {
  Queue* queue = nullptr;
  Mailbox* own = nullptr;
  Mailbox* peer = nullptr;
  std::deque<Posted> receiving;
  std::deque<Posted> sending;

  void move() {
    for (; !sending.empty(); sending.pop_front()) {
      const auto& [id, part] = sending.front();
      if (!peer->put(reinterpret_cast<const void*>(part.addr), part.length)) break;
      queue->done.push_back({id, IBV_WC_SUCCESS, IBV_WC_SEND, part.length});
    }
    for (uint32_t length = 0; !receiving.empty(); receiving.pop_front()) {
      const auto& [id, part] = receiving.front();
      if (!own->take(reinterpret_cast<void*>(part.addr), part.length, length)) break;
      queue->done.push_back({id, IBV_WC_SUCCESS, IBV_WC_RECV, length});
    }
  }
};

std::string fileOf(uint32_t number) {
  const char* folder = std::getenv("EXO_FAKE_VERBS");
  return std::string(folder ? folder : "/nowhere") + "/" + std::to_string(number);
}

Mailbox* mapped(uint32_t number, bool isNew) {
  const int file = open(fileOf(number).c_str(), isNew ? O_RDWR | O_CREAT | O_EXCL : O_RDWR, 0600);
  if (file < 0 || (isNew && ftruncate(file, sizeof(Mailbox)) != 0)) return nullptr;
  void* at = mmap(nullptr, sizeof(Mailbox), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  return at == MAP_FAILED ? nullptr : static_cast<Mailbox*>(at);
}

std::vector<ibv_device*>& devices() {
  static std::vector<ibv_device*> all = [] {
    std::vector<ibv_device*> found;
    const char* text = std::getenv("EXO_FAKE_DEVICES");
    std::istringstream words(text ? text : "");
    for (std::string word; words >> word;) {
      const auto equals = word.find('=');
      found.push_back(new ibv_device{word.substr(0, equals), static_cast<uint8_t>(std::stoi(word.substr(equals + 1)))});
    }
    return found;
  }();
  return all;
}

int postSend(ibv_qp* qp, ibv_send_wr* wr, ibv_send_wr**) {
  auto& pair = *static_cast<Pair*>(qp);
  if (!pair.peer || pair.sending.size() >= 32) return ENOMEM;
  pair.sending.push_back({wr->wr_id, *wr->sg_list});
  pair.move();
  return 0;
}

int postRecv(ibv_qp* qp, ibv_recv_wr* wr, ibv_recv_wr**) {
  auto& pair = *static_cast<Pair*>(qp);
  if (pair.receiving.size() >= 32) return ENOMEM;
  pair.receiving.push_back({wr->wr_id, *wr->sg_list});
  return 0;
}

int pollCq(ibv_cq* cq, int most, ibv_wc* out) {
  auto& queue = *static_cast<Queue*>(cq);
  for (Pair* pair : queue.pairs) pair->move();
  int count = 0;
  for (; count < most && !queue.done.empty(); queue.done.pop_front()) out[count++] = queue.done.front();
  return count;
}

} // namespace

extern "C" {

ibv_device** ibv_get_device_list(int* count) {
  *count = static_cast<int>(devices().size());
  return devices().data();
}
const char* ibv_get_device_name(ibv_device* device) { return device->name.c_str(); }
void ibv_free_device_list(ibv_device**) {}
ibv_context* ibv_open_device(ibv_device* device) {
  return new ibv_context{device, {pollCq, postSend, postRecv}};
}
int ibv_close_device(ibv_context* context) {
  delete context;
  return 0;
}
ibv_pd* ibv_alloc_pd(ibv_context* context) { return new ibv_pd{context}; }
int ibv_dealloc_pd(ibv_pd* pd) {
  delete pd;
  return 0;
}
ibv_cq* ibv_create_cq(ibv_context* context, int, void*, ibv_comp_channel*, int) {
  auto* queue = new Queue();
  queue->context = context;
  return queue;
}
int ibv_destroy_cq(ibv_cq* cq) {
  delete static_cast<Queue*>(cq);
  return 0;
}
ibv_qp* ibv_create_qp(ibv_pd* pd, ibv_qp_init_attr* attr) {
  static uint32_t made = 0;
  auto* pair = new Pair();
  pair->context = pd->context;
  pair->queue = static_cast<Queue*>(attr->send_cq);
  pair->qp_num = (static_cast<uint32_t>(getpid()) << 8) + made++;
  pair->own = mapped(pair->qp_num, true);
  if (!pair->own) return nullptr;
  pair->queue->pairs.push_back(pair);
  return pair;
}
int ibv_destroy_qp(ibv_qp* qp) {
  auto* pair = static_cast<Pair*>(qp);
  munmap(pair->own, sizeof(Mailbox));
  if (pair->peer) munmap(pair->peer, sizeof(Mailbox));
  unlink(fileOf(pair->qp_num).c_str());
  pair->queue->pairs.remove(pair);
  delete pair;
  return 0;
}
int ibv_query_port(ibv_context*, uint8_t, ibv_port_attr* attr) {
  *attr = {2, 1};
  return 0;
}
/** As macOS has it: first a link-local address, then the IPv4 one, here that of the cable. */
int ibv_query_gid(ibv_context* context, uint8_t, int index, ibv_gid* gid) {
  std::memset(gid, 0, sizeof *gid);
  gid->raw[0] = index == 0 ? 0xfe : 0;
  gid->raw[10] = gid->raw[11] = index == 0 ? 0 : 0xff;
  gid->raw[12] = 10;
  gid->raw[15] = context->device->cable;
  return 0;
}
int ibv_modify_qp(ibv_qp* qp, ibv_qp_attr* attr, int) {
  auto* pair = static_cast<Pair*>(qp);
  if (attr->qp_state != IBV_QPS_RTR) return 0;
  if (attr->ah_attr.grh.dgid.raw[15] != pair->context->device->cable) return EHOSTUNREACH;
  pair->peer = mapped(attr->dest_qp_num, false);
  return pair->peer ? 0 : EHOSTUNREACH;
}
ibv_mr* ibv_reg_mr(ibv_pd* pd, void* at, size_t length, int) { return new ibv_mr{pd, at, length, 1}; }
int ibv_dereg_mr(ibv_mr* mr) {
  delete mr;
  return 0;
}

} // extern "C"
