// The kernels' threads: one pool for the process, asleep while there is nothing to do.
#pragma once

#include <cstddef>
#include <functional>

namespace exo {

/** Threads that take part in a `parallel` call, the caller included. */
int poolThreads();

/**
 * Calls work(first, last) on ranges that together are [0, count), each a multiple of `grain` long but for the last, and
 * returns when all are done. The split depends on count, grain and the number of threads only, so results repeat; who takes
 * which range does not. `work` throws nothing but for want of memory, which ends the process on a worker, and is not nested.
 */
void parallel(size_t count, size_t grain, const std::function<void(size_t first, size_t last)>& work);

} // namespace exo
