#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int clinux_network_watch_open(void) {
  int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  if (descriptor < 0) return -1;
  struct sockaddr_nl address = {
      .nl_family = AF_NETLINK,
      .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
  };
  if (bind(descriptor, (const struct sockaddr *)&address, sizeof address) < 0) {
    int failure = errno;
    close(descriptor);
    errno = failure;
    return -1;
  }
  return descriptor;
}

static int is_way_out(const struct nlmsghdr *message) {
  if (message->nlmsg_type == RTM_NEWADDR && message->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifaddrmsg))) {
    const struct ifaddrmsg *address = NLMSG_DATA(message);
    // An IPv6 address that is still being checked for duplicates cannot be used; another message follows.
    return address->ifa_scope < RT_SCOPE_HOST && (address->ifa_flags & IFA_F_TENTATIVE) == 0;
  }
  if (message->nlmsg_type == RTM_NEWROUTE && message->nlmsg_len >= NLMSG_LENGTH(sizeof(struct rtmsg))) {
    const struct rtmsg *route = NLMSG_DATA(message);
    return route->rtm_dst_len == 0 && route->rtm_type == RTN_UNICAST;
  }
  return 0;
}

int clinux_network_watch_read(int descriptor) {
  // A whole message always fits: the kernel builds them in at most a page.
  _Alignas(struct nlmsghdr) char buffer[8192];
  int found = 0;
  // Bounded: whoever changes routes without end is answered by the next poll.
  for (int round = 0; round < 64; round++) {
    ssize_t count = recv(descriptor, buffer, sizeof buffer, 0);
    if (count < 0 && errno == EAGAIN) return found;
    // The kernel had more to tell than the socket could hold: it may have been what we wait for.
    if (count < 0 && errno == ENOBUFS) {
      found = 1;
      continue;
    }
    if (count < 0) return -1;
    size_t left = (size_t)count;
    for (const struct nlmsghdr *message = (const struct nlmsghdr *)buffer; NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      if (is_way_out(message)) found = 1;
    }
  }
  return found;
}
