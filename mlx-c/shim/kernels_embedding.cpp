// Rows of a packed table (token embeddings) as a primitive of MLX.
#include <limits>

#include "guarded.hpp"
#include "kernels.h"
#include "kernels_matrix.hpp"
#include "mlx/c/private/mlx.h"
#include "mlx/ops.h"
#include "pool.hpp"

namespace mx = mlx::core;

namespace exo {
namespace {

/** ids [..] int32, the parts of a table [N, K]: [.., K]. */
struct Rows {
  static constexpr const char* name = "ExoRows";
  Packing packing;

  bool operator==(const Rows&) const = default;

  void operator()(const std::vector<View>& inputs, const View& out) const {
    std::vector<char> weights, scales, biases;
    auto [bits, group, mode] = packing;
    size_t columns = out.columns(), rows = inputs[1].shape[0];
    Matrix table{ordered(inputs[1], weights), ordered(inputs[2], scales), nullptr, rows, columns, bits, group, inputs[2].type(), mode};
    if (inputs.size() > 3) table.biases = ordered(inputs[3], biases);
    std::vector<char> copied;
    const int32_t* ids = reinterpret_cast<const int32_t*>(ordered(inputs[0], copied));
    parallel(out.rows(), grainOf(columns), [&](size_t first, size_t last) {
      std::vector<float> space(out.dtype == mx::float32 ? 0 : columns);
      for (size_t i = first; i < last; ++i) {
        float* to = space.empty() ? reinterpret_cast<float*>(out.row(i)) : space.data();
        int64_t row = ids[i] < 0 ? ids[i] + static_cast<int64_t>(rows) : ids[i];
        bool there = row >= 0 && row < static_cast<int64_t>(rows);
        if (there) kernels().unpack(table, static_cast<size_t>(row), to);
        else std::fill(to, to + columns, std::numeric_limits<float>::quiet_NaN());
        if (!space.empty()) kernels().write(out.type(), to, columns, out.row(i));
      }
    });
  }
};

mx::array taken(const mx::array& ids, const PackedWeight& table, mx::Dtype type, mx::Stream stream) {
  std::optional<mx::array> biases;
  if (table.biases) biases = mx::take(*table.biases, ids, 0, stream);
  auto weight = mx::take(table.weight, ids, 0, stream), scales = mx::take(table.scales, ids, 0, stream);
  return mx::dequantize(weight, scales, biases, table.group, table.bits, table.mode, std::nullopt, type, stream);
}

bool isFloatType(mx::Dtype type) {
  return type == mx::float32 || type == mx::float16 || type == mx::bfloat16;
}

} // namespace
} // namespace exo

extern "C" int exo_quantized_rows(
    mlx_array* res,
    const mlx_array ids,
    const mlx_array weight,
    const mlx_array scales,
    const mlx_array biases,
    int group_size,
    int bits,
    const char* mode,
    mlx_dtype dtype,
    const mlx_stream s) {
  return exo::guarded([&] {
    const auto& rows = mlx_array_get_(ids);
    exo::PackedWeight table = exo::packedWeight(weight, scales, biases, group_size, bits, mode);
    mx::Dtype type = mlx_dtype_to_cpp(dtype);
    auto stream = mlx_stream_get_(s);
    auto packing = table.packing();
    bool ours = packing && table.weight.ndim() == 2 && exo::isFloatType(type) && mx::issubdtype(rows.dtype(), mx::integer);
    if (!ours) return mlx_array_set_(*res, exo::taken(rows, table, type, stream)), void();
    mx::Shape shape = rows.shape();
    shape.push_back(static_cast<int>(table.columns()));
    auto inputs = table.inputs({mx::astype(rows, mx::int32, stream)});
    mlx_array_set_(*res, exo::lazy(std::move(shape), type, stream, exo::Rows{*packing}, std::move(inputs)));
  });
}
