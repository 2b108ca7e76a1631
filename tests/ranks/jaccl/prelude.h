// Force-included into jaccl's sources: what Apple's compiler and library bring along.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <type_traits>

// Frames larger than 4 KiB are used since macOS 26.3: here always, as they are the newer way.
#define __builtin_available(...) true
