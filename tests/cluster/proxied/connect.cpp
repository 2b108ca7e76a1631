// What stands between a process of a test and the network, where namespaces are not allowed: its `connect` (LD_PRELOAD, ld.so(8)).
// EXO_TEST_WAYS names a file with a line `PORT WAY` for each TCP port that others may be known by: whoever connects to PORT, by
// whatever address of this machine, comes out at 127.0.0.1:WAY, where the test's proxy listens. WAY 0 is a pulled cable: nothing is
// answered, not even refused. A port that is not listed is on no network of the process.
#include <arpa/inet.h>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace {

using Connect = int (*)(int, const sockaddr*, socklen_t);

constexpr unsigned kDark = 0;
constexpr int kUnlisted = -1;

Connect realConnect() {
  static const auto found = reinterpret_cast<Connect>(dlsym(RTLD_NEXT, "connect"));
  return found;
}

sockaddr_in loopback(in_port_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = port;
  return address;
}

/** A port at which Linux drops whoever knocks: of one that wants no queue and has one in it, nothing is accepted (listen(2)). */
in_port_t makeDarkPort() {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int first = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t bytes = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (listener < 0 || first < 0 || bind(listener, generic, bytes) != 0 || listen(listener, 0) != 0 ||
      getsockname(listener, generic, &bytes) != 0 || realConnect()(first, generic, bytes) != 0) {
    perror("no port that stays dark");
    abort();
  }
  return address.sin_port;
}

/** Network byte order, as all ports but those of the file. */
in_port_t darkPort() {
  static const in_port_t port = makeDarkPort();
  return port;
}

/** Read each time: the test pulls cables while the process runs. */
int wayTo(unsigned port) {
  const char* path = getenv("EXO_TEST_WAYS");
  FILE* file = path == nullptr ? nullptr : fopen(path, "re");
  if (file == nullptr) return kUnlisted;
  int found = kUnlisted;
  for (unsigned from = 0, way = 0; found == kUnlisted && fscanf(file, "%u %u", &from, &way) == 2;)
    if (from == port) found = static_cast<int>(way);
  fclose(file);
  return found;
}

bool isTcp(int fd) {
  int type = 0;
  socklen_t bytes = sizeof type;
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) == 0 && type == SOCK_STREAM;
}

int connectTo(int fd, const sockaddr_in& address, int family) {
  if (family == AF_INET) return realConnect()(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  sockaddr_in6 mapped{};  // RFC 4291, section 2.5.5.2
  mapped.sin6_family = AF_INET6;
  mapped.sin6_port = address.sin_port;
  mapped.sin6_addr.s6_addr[10] = mapped.sin6_addr.s6_addr[11] = 0xff;
  memcpy(&mapped.sin6_addr.s6_addr[12], &address.sin_addr, sizeof address.sin_addr);
  return realConnect()(fd, reinterpret_cast<const sockaddr*>(&mapped), sizeof mapped);
}

}  // namespace

extern "C" int connect(int fd, const sockaddr* to, socklen_t bytes) {
  const int family = to == nullptr ? AF_UNSPEC : to->sa_family;
  if ((family != AF_INET && family != AF_INET6) || !isTcp(fd)) return realConnect()(fd, to, bytes);
  const in_port_t port = family == AF_INET ? reinterpret_cast<const sockaddr_in*>(to)->sin_port
                                           : reinterpret_cast<const sockaddr_in6*>(to)->sin6_port;
  const int way = wayTo(ntohs(port));
  if (way == kUnlisted) {
    errno = ENETUNREACH;
    return -1;
  }
  const unsigned at = static_cast<unsigned>(way);
  return connectTo(fd, loopback(at == kDark ? darkPort() : htons(static_cast<in_port_t>(at))), family);
}
