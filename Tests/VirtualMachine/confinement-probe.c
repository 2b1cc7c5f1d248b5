// Started by the unit before the device, in the same sandbox: what must be denied and what must work. Exit status 1 when
// something is otherwise.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static int wrong;

static void report(const char *what, int succeeded, int expected) {
  printf("confinement: %s: %s%s%s\n", what, succeeded ? "works" : "denied", succeeded ? "" : " with ",
         succeeded ? "" : strerrorname_np(errno));
  if (succeeded != expected) wrong = 1;
}

static void opening(const char *path, int flags, int expected) {
  int descriptor = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
  report(path, descriptor >= 0, expected);
  if (descriptor >= 0) close(descriptor);
}

int main(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  opening("/dev/i2c-1", O_RDWR, 1);
  opening("/dev/gpiochip0", O_RDWR, 1);
  opening("/dev/ttyS0", O_RDWR, 1);
  opening("/var/lib/thermograph/probe", O_RDWR | O_CREAT, 1);
  unlink("/var/lib/thermograph/probe");
  opening("/dev/kmsg", O_WRONLY, 0);
  opening("/dev/cuse", O_RDWR, 0);
  opening("/etc/probe", O_RDWR | O_CREAT, 0);
  opening("/usr/bin/probe", O_RDWR | O_CREAT, 0);
  opening("/etc/credstore/site.key", O_RDONLY, 0);
  void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  report("writable and executable memory", memory != MAP_FAILED, 0);
  int raw = socket(AF_PACKET, SOCK_RAW, 0);
  report("packet socket", raw >= 0, 0);
  return wrong;
}
