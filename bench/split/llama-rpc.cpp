// llama.cpp as one side of bench/figures/split.ts: a client of its library that has other machines' RPC servers compute layers.
//   llama-rpc MODEL.gguf CONTEXT FLASH MODE AWAY SHARE ENDPOINT...
// FLASH: 0 or 1. MODE: layer or tensor. AWAY: how many layers, counted from the last and with the head as one of them, the servers
// hold; the rest is computed here. SHARE: how many of these the first server has where there are two; 0 where there is one, and
// for the same part of every tensor on each.
// A line of JSON in is one run: {"prompts":[[ids]],"output":n}; a line out its answer, each token with its time in ms. Greedy.
#include "ggml-backend.h"
#include "ggml-rpc.h"
#include "llama.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

/// As many tokens of a prompt at once as the other sides take, and as its own tools do by default.
constexpr int CHUNK = 512;

struct Run {
  std::vector<llama_token> prompt;
  int output;
};

[[noreturn]] void fail(const char* why) {
  std::fprintf(stderr, "llama-rpc: %s\n", why);
  std::exit(1);
}

/// Reads what the bench itself writes: the first list of numbers, and the number after "output".
Run parsed(const std::string& line) {
  const char* from = std::strstr(line.c_str(), "[[");
  const char* output = std::strstr(line.c_str(), "\"output\":");
  if (!from || !output) fail("a run has prompts and output");
  Run run{{}, std::atoi(output + std::strlen("\"output\":"))};
  for (from += 2; *from && *from != ']';) {
    char* end = nullptr;
    run.prompt.push_back(static_cast<llama_token>(std::strtol(from, &end, 10)));
    from = *end == ',' ? end + 1 : end;
  }
  return run;
}

void decode(llama_context* context, llama_token* tokens, int count) {
  if (llama_decode(context, llama_batch_get_one(tokens, count)) != 0) fail("a pass failed");
}

llama_token greedy(llama_context* context, int words) {
  const float* logits = llama_get_logits_ith(context, -1);
  return static_cast<llama_token>(std::max_element(logits, logits + words) - logits);
}

/// Nothing of earlier runs is left; the clock begins with the prompt.
void answer(llama_context* context, int words, Run run) {
  llama_memory_clear(llama_get_memory(context), true);
  const auto start = Clock::now();
  std::string ids, times;
  const int length = static_cast<int>(run.prompt.size());
  for (int at = 0; at < length; at += CHUNK) decode(context, run.prompt.data() + at, std::min(CHUNK, length - at));
  for (int i = 0; i < run.output; i++) {
    llama_token token = greedy(context, words);
    const std::chrono::duration<double, std::milli> since = Clock::now() - start;
    ids += (i ? "," : "") + std::to_string(token);
    times += (i ? "," : "") + std::to_string(since.count());
    if (i + 1 < run.output) decode(context, &token, 1);
  }
  std::printf("{\"answers\":[{\"ids\":[%s],\"ms\":[%s]}]}\n", ids.c_str(), times.c_str());
  std::fflush(stdout);
}

llama_model* loaded(char** argv, const std::vector<float>& shares) {
  llama_model_params wanted = llama_model_default_params();
  wanted.n_gpu_layers = std::atoi(argv[5]);
  wanted.split_mode = std::strcmp(argv[4], "tensor") == 0 ? LLAMA_SPLIT_MODE_TENSOR : LLAMA_SPLIT_MODE_LAYER;
  if (!shares.empty()) wanted.tensor_split = shares.data();
  llama_model* model = llama_model_load_from_file(argv[1], wanted);
  if (!model) fail("the model cannot be loaded");
  return model;
}

llama_context* contextOf(llama_model* model, char** argv) {
  llama_context_params wanted = llama_context_default_params();
  wanted.n_ctx = static_cast<uint32_t>(std::atoi(argv[2]));
  wanted.n_batch = wanted.n_ubatch = CHUNK;
  wanted.n_threads = wanted.n_threads_batch = 1;
  wanted.flash_attn_type = std::atoi(argv[3]) ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
  llama_context* context = llama_init_from_model(model, wanted);
  if (!context) fail("there is no context for the model");
  return context;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 8) fail("MODEL CONTEXT FLASH MODE AWAY SHARE ENDPOINT...");
  llama_log_set(
      [](ggml_log_level level, const char* text, void*) {
        if (level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
      },
      nullptr);
  for (int i = 7; i < argc; i++) {
    ggml_backend_reg_t server = ggml_backend_rpc_add_server(argv[i]);
    if (!server) fail("a server does not answer");
    ggml_backend_register(server);
  }
  // Between two numbers of layers: which of them a share that is a whole number means depends on rounding.
  std::vector<float> shares;
  if (const float share = std::strtof(argv[6], nullptr); share > 0) {
    shares.assign(llama_max_devices(), 0);
    shares[0] = share - 0.5F;
    shares[1] = std::strtof(argv[5], nullptr) - shares[0];
  }
  llama_model* model = loaded(argv, shares);
  llama_context* context = contextOf(model, argv);
  const int words = llama_vocab_n_tokens(llama_model_get_vocab(model));
  std::printf("{\"ready\":true,\"version\":\"ggml %s\"}\n", ggml_version());
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) answer(context, words, parsed(line));
}
