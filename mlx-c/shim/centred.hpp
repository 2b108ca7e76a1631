// Which biases of packed weights are known to be a multiple of their scales, so that a product need not read them.
#pragma once

#include <cstddef>

namespace exo {

/**
 * Notes that `bytes` of biases from here on are -2^(bits - 1) times the scales that lie from there on, element by element: they
 * make up for codes that count from the middle. Holds until either memory is forgotten. Safe to use from several threads.
 */
void noteCentred(const void* biases, const void* scales, size_t bytes);

/** What was noted of arrays that begin here: their memory is about to become another's. */
void forgetCentred(const void* from);

/** Whether biases and scales that begin here, perhaps within noted ones, are so. */
bool areCentred(const void* biases, const void* scales);

} // namespace exo
