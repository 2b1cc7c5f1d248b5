#include "SocketState.h"

#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

int link_socket_configure(int descriptor, unsigned unsent_bytes_maximum) {
  int yes = 1;
  if (setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) != 0) return errno;
  if (setsockopt(descriptor, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_bytes_maximum, sizeof unsent_bytes_maximum) != 0)
    return errno;
  return 0;
}

int link_socket_forget(int descriptor) {
  struct linger now = {.l_onoff = 1, .l_linger = 0};
  return setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0 ? 0 : errno;
}

int link_socket_pending_error(int descriptor) {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error;
}

int link_socket_progress_read(int descriptor, struct link_socket_progress *progress) {
  struct tcp_info info;
  memset(&info, 0, sizeof info);
  socklen_t size = sizeof info;
  if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return errno;
  int outstanding = 0;
  if (ioctl(descriptor, SIOCOUTQ, &outstanding) != 0) return errno;
  progress->acknowledged_bytes = info.tcpi_bytes_acked;
  progress->received_bytes = info.tcpi_bytes_received;
  progress->outstanding_bytes = outstanding > 0 ? (uint64_t)outstanding : 0;
  progress->unheard_milliseconds = info.tcpi_last_ack_recv < info.tcpi_last_data_recv ? info.tcpi_last_ack_recv
                                                                                      : info.tcpi_last_data_recv;
  // TCP_SYN_SENT is 2 in the kernel's table of states (include/net/tcp_states.h), which linux/tcp.h does not export.
  progress->established = info.tcpi_state != 2;
  return 0;
}

int link_socket_peer_closed(int descriptor) {
  char byte;
  ssize_t count = recv(descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (count == 0) return 1;
  if (count > 0) return 0;
  // A call that does not wait is not interrupted (recv(2), EINTR).
  if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
  return -errno;
}
