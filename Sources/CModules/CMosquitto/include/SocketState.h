#pragma once

#include <stdbool.h>
#include <stdint.h>

/// Bounds what the kernel buffers: TCP_NOTSENT_LOWAT (tcp(7), unsent bytes above this make the socket unwritable),
/// TCP_NODELAY. Returns 0, or the errno of the first option that was refused.
///
/// TCP_USER_TIMEOUT is left alone: the kernel also applies it to a peer that answers every probe of its closed window
/// (tcp_probe_timer), so it ends connections on which only the receiver is slow.
int link_socket_configure(int descriptor, unsigned unsent_bytes_maximum);

/// Makes the close that follows forget what was not sent, with a reset, instead of sending it into silence for minutes
/// (SO_LINGER of 0, socket(7)). Returns 0 or the errno.
int link_socket_forget(int descriptor);

/// The socket's pending error (SO_ERROR), clearing it; or the errno of asking.
int link_socket_pending_error(int descriptor);

/// What the kernel knows of a TCP connection (TCP_INFO).
struct link_socket_progress {
  /// Bytes that the peer has acknowledged since the connection began.
  uint64_t acknowledged_bytes;
  /// Bytes received since the connection began.
  uint64_t received_bytes;
  /// Bytes handed over by us and not yet acknowledged, sent or not.
  uint64_t outstanding_bytes;
  /// Milliseconds since the peer's TCP was last heard: data, acknowledgements, answers to probes of its window.
  uint64_t unheard_milliseconds;
  /// Whether the three-way handshake is over (any state after SYN_SENT).
  bool established;
};

/// Returns 0 and fills `progress`, or the errno of getsockopt.
int link_socket_progress_read(int descriptor, struct link_socket_progress *progress);

/// POLLRDHUP of poll(2): the peer has ended its direction. glibc's header gives the name only under _GNU_SOURCE.
#define LINK_POLL_PEER_CLOSED 0x2000

/// Whether the peer has ended its direction: 1 yes, 0 no (data waits, or nothing yet), otherwise the negative errno
/// of the connection's failure. Takes nothing out of the socket.
int link_socket_peer_closed(int descriptor);
