/*
 * What MLX's jaccl uses of the verbs interface (rdma-core's ibv_*(3) manual pages), for a provider of our own that needs no device.
 * Names and meanings are the interface's; values and layouts are not, as nobody else is linked with it.
 */
#pragma once

#include <cstdint>

#include <cstddef>

enum { IBV_ACCESS_LOCAL_WRITE = 1, IBV_ACCESS_REMOTE_WRITE = 2, IBV_ACCESS_REMOTE_READ = 4 };
enum {
  IBV_QP_STATE = 1,
  IBV_QP_ACCESS_FLAGS = 2,
  IBV_QP_PKEY_INDEX = 4,
  IBV_QP_PORT = 8,
  IBV_QP_AV = 16,
  IBV_QP_PATH_MTU = 32,
  IBV_QP_RQ_PSN = 64,
  IBV_QP_SQ_PSN = 128,
  IBV_QP_DEST_QPN = 256
};
enum ibv_qp_type { IBV_QPT_UC = 3 };
enum ibv_qp_state { IBV_QPS_INIT = 1, IBV_QPS_RTR = 2, IBV_QPS_RTS = 3 };
enum ibv_mtu { IBV_MTU_1024 = 3 };
enum ibv_wr_opcode { IBV_WR_SEND = 2 };
enum ibv_send_flags { IBV_SEND_SIGNALED = 2 };
enum ibv_wc_status { IBV_WC_SUCCESS = 0 };
enum ibv_wc_opcode { IBV_WC_SEND = 0, IBV_WC_RECV = 128 };

union ibv_gid {
  uint8_t raw[16];
  struct {
    uint64_t subnet_prefix;
    uint64_t interface_id;
  } global;
};

struct ibv_device;
struct ibv_comp_channel;
struct ibv_srq;
struct ibv_context;
struct ibv_qp;
struct ibv_cq;
struct ibv_wc;
struct ibv_send_wr;
struct ibv_recv_wr;

struct ibv_context_ops {
  int (*poll_cq)(ibv_cq*, int, ibv_wc*);
  int (*post_send)(ibv_qp*, ibv_send_wr*, ibv_send_wr**);
  int (*post_recv)(ibv_qp*, ibv_recv_wr*, ibv_recv_wr**);
};
struct ibv_context {
  ibv_device* device;
  ibv_context_ops ops;
};
struct ibv_pd {
  ibv_context* context;
};
struct ibv_cq {
  ibv_context* context;
};
struct ibv_qp {
  ibv_context* context;
  uint32_t qp_num;
};
struct ibv_mr {
  ibv_pd* pd;
  void* addr;
  size_t length;
  uint32_t lkey;
};
struct ibv_sge {
  uint64_t addr;
  uint32_t length;
  uint32_t lkey;
};
struct ibv_send_wr {
  uint64_t wr_id;
  ibv_send_wr* next;
  ibv_sge* sg_list;
  int num_sge;
  ibv_wr_opcode opcode;
  unsigned send_flags;
};
struct ibv_recv_wr {
  uint64_t wr_id;
  ibv_recv_wr* next;
  ibv_sge* sg_list;
  int num_sge;
};
struct ibv_wc {
  uint64_t wr_id;
  ibv_wc_status status;
  ibv_wc_opcode opcode;
  uint32_t byte_len;
};
struct ibv_port_attr {
  int gid_tbl_len;
  uint16_t lid;
};
struct ibv_qp_cap {
  uint32_t max_send_wr, max_recv_wr, max_send_sge, max_recv_sge, max_inline_data;
};
struct ibv_qp_init_attr {
  void* qp_context;
  ibv_cq* send_cq;
  ibv_cq* recv_cq;
  ibv_srq* srq;
  ibv_qp_cap cap;
  ibv_qp_type qp_type;
  int sq_sig_all;
};
struct ibv_global_route {
  ibv_gid dgid;
  uint8_t sgid_index, hop_limit;
};
struct ibv_ah_attr {
  ibv_global_route grh;
  uint16_t dlid;
  uint8_t sl, src_path_bits, is_global, port_num;
};
struct ibv_qp_attr {
  ibv_qp_state qp_state;
  ibv_mtu path_mtu;
  uint32_t rq_psn, sq_psn, dest_qp_num;
  unsigned qp_access_flags;
  ibv_ah_attr ah_attr;
  uint16_t pkey_index;
  uint8_t port_num;
};

inline int ibv_post_send(ibv_qp* qp, ibv_send_wr* wr, ibv_send_wr** bad) {
  return qp->context->ops.post_send(qp, wr, bad);
}
inline int ibv_post_recv(ibv_qp* qp, ibv_recv_wr* wr, ibv_recv_wr** bad) {
  return qp->context->ops.post_recv(qp, wr, bad);
}
inline int ibv_poll_cq(ibv_cq* cq, int most, ibv_wc* wc) {
  return cq->context->ops.poll_cq(cq, most, wc);
}
