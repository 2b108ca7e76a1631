#include "waiting.h"

#include <poll.h>

extern "C" int exo_wait_for(int descriptor, bool write, int milliseconds) {
  pollfd looked{descriptor, static_cast<short>(write ? POLLIN | POLLOUT : POLLIN), 0};
  return poll(&looked, 1, milliseconds) > 0;
}
