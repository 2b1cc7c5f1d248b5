#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

int clinux_name_current_thread(const char *name) {
  char kept[16];
  strncpy(kept, name, sizeof kept - 1);
  kept[sizeof kept - 1] = 0;
  return pthread_setname_np(pthread_self(), kept);
}

int clinux_pipe(int *ends) { return pipe2(ends, O_CLOEXEC); }

int clinux_clock_is_synchronised(void) {
  struct timex state = {0};
  int clock = adjtimex(&state);
  if (clock < 0) return -1;
  return clock != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
}

int clinux_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

int clinux_open_pseudo_terminal(char *path, size_t path_size) {
  int descriptor = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return -1;
  int failure = 0;
  if (grantpt(descriptor) < 0 || unlockpt(descriptor) < 0) {
    failure = errno;
  } else {
    failure = ptsname_r(descriptor, path, path_size);
  }
  if (failure != 0) {
    close(descriptor);
    errno = failure;
    return -1;
  }
  return descriptor;
}

static int speed_of(uint32_t baud, speed_t *speed) {
  static const struct { uint32_t baud; speed_t speed; } known[] = {
      {1200, B1200}, {2400, B2400}, {4800, B4800}, {9600, B9600}, {19200, B19200}, {38400, B38400},
      {57600, B57600}, {115200, B115200}, {230400, B230400}, {460800, B460800}, {921600, B921600},
  };
  for (size_t index = 0; index < sizeof known / sizeof known[0]; index++) {
    if (known[index].baud == baud) {
      *speed = known[index].speed;
      return 0;
    }
  }
  errno = EINVAL;
  return -1;
}

int clinux_terminal_make_raw(int descriptor, uint32_t baud) {
  speed_t speed;
  struct termios settings;
  if (speed_of(baud, &speed) < 0 || tcgetattr(descriptor, &settings) < 0) return -1;
  cfmakeraw(&settings);
  settings.c_cflag &= ~(tcflag_t)(CSTOPB | CRTSCTS | PARENB | CSIZE);
  settings.c_cflag |= CS8 | CREAD | CLOCAL;
  // VMIN 1 with O_NONBLOCK: EAGAIN means "nothing yet" and 0 bytes means "hung up"; VMIN 0 would give 0 for both.
  settings.c_cc[VMIN] = 1;
  settings.c_cc[VTIME] = 0;
  if (cfsetispeed(&settings, speed) < 0 || cfsetospeed(&settings, speed) < 0) return -1;
  if (tcsetattr(descriptor, TCSANOW, &settings) < 0) return -1;
  // tcsetattr succeeds when any one of its changes was possible: read back what a frame depends on.
  struct termios effective;
  if (tcgetattr(descriptor, &effective) < 0) return -1;
  if (cfgetispeed(&effective) != speed || cfgetospeed(&effective) != speed ||
      (effective.c_cflag & (CSIZE | CSTOPB | PARENB)) != CS8 || (effective.c_lflag & (ICANON | ECHO)) != 0) {
    errno = ENOTSUP;
    return -1;
  }
  return 0;
}

int clinux_terminal_take_exclusively(int descriptor) { return ioctl(descriptor, TIOCEXCL); }

void clinux_terminal_give_back(int descriptor) { (void)ioctl(descriptor, TIOCNXCL); }

int clinux_terminal_flush_input(int descriptor) { return tcflush(descriptor, TCIFLUSH); }

int clinux_open_terminal(const char *path) {
  return open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

int clinux_send_unix_datagram(const char *address, const void *message, size_t size) {
  struct sockaddr_un target = {.sun_family = AF_UNIX};
  size_t length = strlen(address);
  if (length == 0 || length >= sizeof target.sun_path || (address[0] != '/' && address[0] != '@')) {
    errno = EINVAL;
    return -1;
  }
  memcpy(target.sun_path, address, length);
  if (address[0] == '@') target.sun_path[0] = 0;
  // An abstract name is its bytes and no more; a path carries its terminating zero.
  socklen_t target_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (address[0] == '/'));

  int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -1;
  // Whoever holds the other end may be stuck and its queue full: then this fails with EAGAIN and holds nobody up.
  const struct timeval patience = {.tv_usec = 100 * 1000};
  if (setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0) {
    int failure = errno;
    close(descriptor);
    errno = failure;
    return -1;
  }
  ssize_t sent = sendto(descriptor, message, size, MSG_NOSIGNAL, (const struct sockaddr *)&target, target_size);
  int failure = errno;
  close(descriptor);
  if (sent < 0) {
    errno = failure;
    return -1;
  }
  return 0;
}

static int unix_address(const char *path, struct sockaddr_un *address) {
  size_t length = strlen(path);
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  if (length == 0 || length >= sizeof address->sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(address->sun_path, path, length);
  return 0;
}

static int closed_with_reason(int descriptor) {
  int failure = errno;
  close(descriptor);
  errno = failure;
  return -1;
}

int clinux_listen_unix(const char *path, mode_t mode, int backlog) {
  struct sockaddr_un address;
  struct stat found;
  if (unix_address(path, &address) < 0) return -1;
  // Only a socket is ours to remove; anything else makes bind fail with EADDRINUSE.
  if (lstat(path, &found) == 0 && S_ISSOCK(found.st_mode)) unlink(path);
  int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return -1;
  if (bind(descriptor, (struct sockaddr *)&address, sizeof address) < 0 || chmod(path, mode) < 0 ||
      listen(descriptor, backlog) < 0)
    return closed_with_reason(descriptor);
  return descriptor;
}

int clinux_accept(int listener) { return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC); }

int clinux_connect_unix(const char *path) {
  struct sockaddr_un address;
  if (unix_address(path, &address) < 0) return -1;
  int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return -1;
  if (connect(descriptor, (struct sockaddr *)&address, sizeof address) < 0) return closed_with_reason(descriptor);
  return descriptor;
}

int clinux_peer(int descriptor, uid_t *user, gid_t *group, gid_t *groups, int group_count) {
  struct ucred credentials;
  socklen_t size = sizeof credentials;
  if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0) return -1;
  *user = credentials.uid;
  *group = credentials.gid;
  size = (socklen_t)(group_count * (int)sizeof *groups);
  if (getsockopt(descriptor, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0) return 0;
  return (int)(size / sizeof *groups);
}

void clinux_give_back_free_memory(void) { malloc_trim(0); }

void clinux_map_large_blocks(void) { mallopt(M_MMAP_THRESHOLD, 1024 * 1024); }
