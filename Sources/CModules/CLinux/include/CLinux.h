// Calls that Swift's Glibc module hides (GNU extensions, variadic functions, macros), one small function each.
// Every function returns what the system call returns and leaves its reason in errno.
#pragma once
#include <stdint.h>
#include <sys/types.h>

/// Names the calling thread; at most 15 bytes are kept. Returns 0 or an error number.
int clinux_name_current_thread(const char *_Nonnull name);

/// adjtimex with no mode: 1 when the kernel says that the wall clock is disciplined, 0 when not, -1 on failure.
int clinux_clock_is_synchronised(void);

/// A new eventfd, non-blocking and close-on-exec, or -1.
int clinux_eventfd(void);

/// A new pseudo-terminal's controlling side, non-blocking and close-on-exec, unlocked, or -1.
/// The path of the other side is written to `path`.
int clinux_open_pseudo_terminal(char *_Nonnull path, size_t path_size);

/// Sets a terminal to raw mode, 8 data bits, no parity, one stop bit, no flow control, at `baud`.
/// `read` returns at once with what there is. -1 with errno EINVAL for a speed that termios does not know.
int clinux_terminal_make_raw(int descriptor, uint32_t baud);

/// Takes a terminal exclusively: another open of it fails with EBUSY (root excepted).
int clinux_terminal_take_exclusively(int descriptor);

/// Ends that. A terminal that has gone away has nothing to give back, so that there is nothing to report.
void clinux_terminal_give_back(int descriptor);

/// Drops everything received and not yet read. 0 or -1.
int clinux_terminal_flush_input(int descriptor);

/// open(2) with O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_RDWR.
int clinux_open_terminal(const char *_Nonnull path);

/// Sends one datagram to a unix socket, "@name" meaning the abstract name space. Returns 0 or -1.
int clinux_send_unix_datagram(const char *_Nonnull address, const void *_Nonnull message, size_t size);

/// A netlink socket (NETLINK_ROUTE) that hears of addresses and routes, non-blocking and close-on-exec, or -1.
int clinux_network_watch_open(void);

/// Reads what a watch has heard: 1 when an address that reaches beyond this host or a default route was added, 0 when
/// nothing of that kind, -1 on failure.
int clinux_network_watch_read(int descriptor);

/// A listening stream socket at `path` (a stale socket there is removed) with `mode`, non-blocking, or -1.
int clinux_listen_unix(const char *_Nonnull path, mode_t mode, int backlog);

/// accept4 with SOCK_NONBLOCK | SOCK_CLOEXEC, or -1.
int clinux_accept(int listener);

/// A stream socket connected to `path`, non-blocking, close-on-exec, or -1; EAGAIN when the listener is overrun.
int clinux_connect_unix(const char *_Nonnull path);

/// Who is at the other end of a unix socket, as the kernel noted it when the connection was made (SO_PEERCRED).
/// Up to `group_count` supplementary groups (SO_PEERGROUPS, Linux 4.13) are written to `groups`. Returns their number;
/// 0 when there are none, more than fit or the kernel does not tell; -1 when not even the user is known.
int clinux_peer(int descriptor, uid_t *_Nonnull user, gid_t *_Nonnull group, gid_t *_Nonnull groups,
                int group_count);

/// openat2 (Linux 5.6) of something that is there, with RESOLVE_NO_SYMLINKS: a symbolic link anywhere in `path` is ELOOP.
/// -1 with ENOSYS where the kernel or an emulator lacks it.
int clinux_open_without_links(int folder, const char *_Nonnull path, int flags);

/// pipe2 with O_CLOEXEC: `ends[0]` reads what `ends[1]` writes; 0, or -1.
int clinux_pipe(int *_Nonnull ends);

/// Gives the kernel the heap's pages that nobody uses (malloc_trim): glibc keeps what lies below a block in use.
void clinux_give_back_free_memory(void);

/// From here on a block of 1 MiB or more is a mapping of its own, which goes back to the kernel when it is freed.
void clinux_map_large_blocks(void);
