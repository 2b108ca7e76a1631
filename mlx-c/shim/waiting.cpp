#include "waiting.h"

#include <poll.h>
#include <sched.h>

extern "C" int exo_wait_for(int descriptor, bool write, int milliseconds) {
  if (milliseconds == 0) sched_yield();
  pollfd looked{descriptor, static_cast<short>(write ? POLLIN | POLLOUT : POLLIN), 0};
  return poll(&looked, 1, milliseconds) > 0;
}
